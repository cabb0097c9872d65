"""A clone on a node, for one stage. DVC's cache there outlasts it, so that what several stages read is pulled once."""

from __future__ import annotations

import os
from pathlib import Path

from dvc_wandb import temporary_folders
from dvc_wandb.parallel.cluster.away import project_remote
from dvc_wandb.parallel.cluster.away.inputs import Inputs
from dvc_wandb.parallel.cluster.job_folder import JobFolder
from dvc_wandb.project.git import work_tree


def make(folder: JobFolder) -> Path:
    """A clone of the head's work tree, removed when this process ends; the project's root in it."""
    inputs = Inputs.of(folder)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dvc-wandb"
    home.mkdir(parents=True, exist_ok=True)
    packed = folder.exchange.get("work-tree") or b""
    root = work_tree.unpack(inputs.work_tree, packed, temporary_folders.folder(home)).resolve()
    project_remote.use(root, inputs.remote, folder.exchange.remote, home / "cache")
    return root
