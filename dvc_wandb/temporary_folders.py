"""Folders that are gone when this process ends. What a killed one left behind, the next process removes.

A process holds a lock on the folder that its own lie in; the kernel lets go of it however the process ends.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

PREFIX = "dvc-wandb-tmp-"


def folder(place: Path | None = None) -> Path:
    """A new folder in `place`, else where the system keeps what is temporary."""
    return Path(tempfile.mkdtemp(dir=_of_process(place or Path(tempfile.gettempdir()))))


@cache
def _of_process(place: Path) -> Path:
    for left in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another process's, or another user's
            handle = _locked(left, fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)
    while True:
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        with contextlib.suppress(OSError):  # a file system without locks
            _locked(made)
        if made.exists():  # else another process took it for one that was left
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            return made


def _locked(path: Path, how: int = 0) -> int:
    """The handle by which this process holds `path` until it ends."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | how)
    except OSError:
        os.close(handle)
        raise
    return handle
