"""One process at a time, of all that share a registry on this machine or a project."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from dvc_wandb.client import local_server


@contextlib.contextmanager
def alone(root: Path, work: str) -> Iterator[None]:
    """No other process does the same `work` meanwhile; the kernel lets go however we end.

    Clones that share an embedded registry take turns, so do experiments in temporary folders: equal contents that are
    logged at one time would become two versions.
    """
    store = local_server.store_of(root)
    with ((store if os.access(store, os.W_OK) else folder_of(root)) / f"dvc-wandb-{work}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def folder_of(root: Path) -> Path:
    """Where a project keeps what its processes tell each other."""
    folder = Path(os.environ.get("DVC_ROOT") or root) / ".dvc" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
