"""One process of a project at a time, also among experiments in temporary folders."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(root: Path, work: str) -> Iterator[None]:
    """No other process does the same `work` on this project meanwhile; the kernel lets go however we end.

    Experiments in temporary folders share the locks of the repository that they belong to.
    """
    with (folder_of(root) / f"lineage-{work}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def folder_of(root: Path) -> Path:
    """Where a project keeps what its processes tell each other."""
    folder = Path(os.environ.get("DVC_ROOT") or root) / ".dvc" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
