"""Makes files and folders durable. Only the standard library: whoever starts a server imports it too."""

import os
from collections.abc import Iterable
from pathlib import Path

FEW = 4  # paths that are synced one by one


def fsync(path: Path) -> None:
    """Returns when a file's bytes, or a folder's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_all(paths: Iterable[Path], folder: Path) -> None:
    """The same for many files or folders of the file system that holds `folder`.

    Syncing the whole file system at once costs less than syncing many paths, where the system offers it.
    """
    paths = list(paths)
    if len(paths) < FEW or not _syncfs(folder):
        for path in paths:
            fsync(path)


def _syncfs(folder: Path) -> bool:
    import ctypes  # here, since it would be a tenth of what a server's starter imports

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(descriptor):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
        return True
    finally:
        os.close(descriptor)
