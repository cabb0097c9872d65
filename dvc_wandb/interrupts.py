"""Ctrl-C that can't be lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a destructor, or in a callback of the garbage
collector, it is printed and dropped, and a command would go on to its end. So the interrupt is remembered here, and
`check` raises it again.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_interrupted = threading.Event()


def remember() -> None:
    """Remember Ctrl-C from now on. A process that was started to ignore it, as a shell's `&` does, goes on doing so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def check() -> None:
    """Raises KeyboardInterrupt where the process was interrupted, whatever became of the first one."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt
