"""One process at a time, of all that share a registry on this machine or a project."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from dvc_wandb.client import local_server
from dvc_wandb.project.settings import tmp_folder


@contextlib.contextmanager
def exclusive(root: Path, work: str) -> Iterator[None]:
    """No other process does the same `work` meanwhile; the kernel lets go however we end.

    Clones that share an embedded registry take turns, so do experiments in temporary folders: equal contents that are
    logged at one time would become two versions.
    """
    from filelock import FileLock

    store = local_server.store_folder(root)
    folder = store if os.access(store, os.W_OK) else tmp_folder(root)
    with FileLock(folder / f"dvc-wandb-{work}.lock"):
        yield
