"""File locks between the processes that share a project, or an embedded registry."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from dvc_wandb.client import local_server
from dvc_wandb.project.settings import tmp_folder


@contextlib.contextmanager
def exclusive(root: Path, work: str) -> Iterator[None]:
    """Hold the lock for `work`. The kernel releases it however the process ends.

    Clones that share an embedded registry use one lock, and so do experiments in temporary folders: two processes that
    log equal contents at the same time would make two versions.
    """
    from filelock import FileLock

    store = local_server.store_folder(root)
    folder = store if os.access(store, os.W_OK) else tmp_folder(root)
    with FileLock(folder / f"dvc-wandb-{work}.lock"):
        yield
