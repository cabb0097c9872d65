"""Makes sure that no Ctrl-C is lost.

Python raises KeyboardInterrupt wherever the main thread is. In a destructor, or in a callback of the garbage collector,
Python prints it and drops it, and the command would go on. So we remember the interrupt, and `check` raises it again.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_interrupted = threading.Event()


def install_handler() -> None:
    """Remember Ctrl-C from now on. If the process ignores Ctrl-C, as after a shell's `&`, it still does."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def leave() -> None:
    """The command has ended: Ctrl-C ends the process at once. Python would print it from within what runs at exit."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def check() -> None:
    """Raises KeyboardInterrupt if the process was interrupted before, even if the first one was lost."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt
