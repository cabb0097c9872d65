"""Folders that are gone when this process ends. What a killed one left behind, the next process removes.

A process holds a lock beside the folder that its own lie in; the kernel lets go of it however the process ends.
"""

from __future__ import annotations

import atexit
import contextlib
import secrets
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

PREFIX = "dvc-wandb-tmp-"


def folder(parent: Path | None = None) -> Path:
    """A new folder in `parent`, else where the system keeps what is temporary."""
    return Path(tempfile.mkdtemp(dir=_of_process(parent or Path(tempfile.gettempdir()))))


@cache
def _of_process(parent: Path) -> Path:
    """The folder in `parent` that holds those of this process."""
    from filelock import FileLock

    _remove_abandoned(parent)
    made = parent / f"{PREFIX}{secrets.token_hex(4)}"
    lock = FileLock(_lock_of(made))
    with contextlib.suppress(OSError):  # a file system without locks
        lock.acquire()
    made.mkdir(mode=0o700)
    atexit.register(_remove, made, lock)  # which keeps the lock until then
    return made


def _remove_abandoned(parent: Path) -> None:
    from filelock import FileLock

    for path in parent.glob(f"{PREFIX}*.lock"):
        lock = FileLock(path)
        with contextlib.suppress(OSError), lock.acquire(blocking=False):  # else another process's, or another user's
            _remove(path.with_suffix(""), lock)


def _remove(folder: Path, lock: BaseFileLock) -> None:
    """While the lock is held: its file goes last, so that a kill leaves nothing that the next process doesn't find."""
    shutil.rmtree(folder, ignore_errors=True)
    _lock_of(folder).unlink(missing_ok=True)
    lock.release()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
