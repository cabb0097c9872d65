"""Runs a stage in its clone on a node: pulls what it reads, and sends back what it made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dvc_wandb.parallel import stage_process
from dvc_wandb.parallel.cluster.away import archive, contents
from dvc_wandb.parallel.cluster.away.inputs import Inputs
from dvc_wandb.parallel.cluster.job_folder import JobFolder, StageRequest
from dvc_wandb.project.git import work_tree


def run(root: Path, folder: JobFolder, request: StageRequest, attempt: str) -> int:
    """As `stage_process.run`; once it has returned RAN, all that the stage made is where the head finds it."""

    def work(repo: Any) -> int:
        top = work_tree.top_of(root)
        contents.pull(repo, [str(root / path) for path in Inputs.of(folder).pulled])
        archive.take(folder.exchange, "carried", top)
        # The head has decided that it runs; by force only if that was asked for: the run cache may have it
        status = stage_process.reproduce(repo, request.target, request.force)
        if status != stage_process.FAILED:
            _send(repo, request.target, top, folder, attempt)
            return stage_process.RAN
        return status

    return stage_process.with_repo(root, request.target, work)


def _send(repo: Any, target: str, top: Path, folder: JobFolder, attempt: str) -> None:
    from dvc.utils.serialize import dumps_yaml, load_yaml

    (stage,) = repo.stage.collect(target)
    contents.push(repo, [out.fs_path for out in stage.outs if out.use_cache])
    entry = load_yaml(stage.dvcfile._lockfile.path)["stages"][stage.name]
    folder.exchange.put(f"entry-{attempt}", dumps_yaml(entry))
    uncached = [
        os.path.relpath(out.fs_path, top) for out in stage.outs if not out.use_cache and out.protocol == "local"
    ]
    archive.put(folder.exchange, f"result-{attempt}", top, uncached)
