"""Temporary folders, removed when the process ends. The next process removes those of a killed one.

All of a process's folders are in one folder. The process holds a lock on the file beside it; the kernel releases the
lock however the process ends.
"""

from __future__ import annotations

import atexit
import contextlib
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

PREFIX = "dvc-wandb-tmp-"


_of_process: dict[Path, tuple[Path, BaseFileLock]] = {}  # this process's folder in each parent, and its lock


def folder(parent: Path | None = None) -> Path:
    """A new folder in `parent`, by default the system's temporary folder."""
    parent = parent or Path(tempfile.gettempdir())
    if parent not in _of_process:
        _remove_abandoned(parent)
        _of_process[parent] = _make(parent)
    return Path(tempfile.mkdtemp(dir=_of_process[parent][0]))


@atexit.register
def remove_all() -> None:
    """Remove this process's folders. Call it before an `os._exit`, which runs no exit handler."""
    while _of_process:
        _remove(*_of_process.popitem()[1])


def _make(parent: Path) -> tuple[Path, BaseFileLock]:
    """A folder in `parent` for this process, and the lock that it holds."""
    from filelock import FileLock

    path = parent / f"{PREFIX}{secrets.token_hex(4)}"
    lock = FileLock(_lock_of(path))
    with contextlib.suppress(OSError):  # a file system without locks
        lock.acquire()
    path.mkdir(mode=0o700)
    return path, lock


def _remove_abandoned(parent: Path) -> None:
    from filelock import FileLock

    for path in parent.glob(f"{PREFIX}*.lock"):
        lock = FileLock(path)
        with (
            contextlib.suppress(OSError),
            lock.acquire(blocking=False),
        ):  # else its process is alive, or another user owns it
            _remove(path.with_suffix(""), lock)


def _remove(folder: Path, lock: BaseFileLock) -> None:
    """Call it with the lock held. The lock's file goes last: the next process finds by it what a killed one left."""
    shutil.rmtree(folder, ignore_errors=True)
    _lock_of(folder).unlink(missing_ok=True)
    lock.release()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
