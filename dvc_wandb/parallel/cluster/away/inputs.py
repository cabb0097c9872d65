"""What a stage needs on a node that shares no folder with the head: prepared on the head, read on the node."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dvc_wandb.parallel import stage_process
from dvc_wandb.parallel.cluster.away import archive, contents, project_remote
from dvc_wandb.parallel.cluster.job_folder import JobFolder, StageRequest
from dvc_wandb.project.git import work_tree
from dvc_wandb.project.git.work_tree import WorkTree


@dataclass(frozen=True)
class Inputs:
    """The work tree, the name of the DVC remote, and the paths from the project's root that the node pulls from it."""

    work_tree: WorkTree
    remote: str
    pulled: list[str]

    def put(self, folder: JobFolder) -> None:
        folder.exchange.put("inputs", json.dumps(asdict(self)))

    @classmethod
    def of(cls, folder: JobFolder) -> Inputs:
        found = json.loads(folder.exchange.text("inputs") or "")
        return cls(WorkTree(**found["work_tree"]), found["remote"], found["pulled"])


def prepare(folder: JobFolder, request: StageRequest) -> int:
    """Put into the job's folder, and into the remote, what the stage needs: ELSEWHERE then.

    A stage that needs no command, or that DVC's run cache has, is done here: see `run_without_command`.
    """
    root = Path(request.root)

    def work(repo: Any, stage: Any) -> int:
        if not request.force and _is_in_run_cache(stage):
            return stage_process.reproduce(repo, request.target, request.force)
        top = work_tree.top_of(root)
        pulled, carried = _read_by(stage, top)
        contents.push(repo, pulled)
        tree, packed = work_tree.pack(root)
        folder.begin(request)
        Inputs(tree, project_remote.default_name(root), [os.path.relpath(path, root) for path in pulled]).put(folder)
        folder.exchange.put("work-tree", packed)
        archive.put(folder.exchange, "carried", top, carried)
        return stage_process.ELSEWHERE

    return stage_process.run_without_command(root, request.target, request.force, elsewhere=work)


def _is_in_run_cache(stage: Any) -> bool:
    from dvc.stage.cache import RunCacheNotFoundError
    from dvc_data.hashfile.hash_info import HashInfo

    if stage.changed_deps():
        stage.save_deps()
        for out in stage.outs:  # those in dvc.lock are of what it read before
            out.hash_info = HashInfo()
    try:
        stage.repo.stage_cache.restore(stage, dry=True)
        return True
    except RunCacheNotFoundError:
        return False


def _read_by(stage: Any, top: Path) -> tuple[list[str], list[str]]:
    """What the stage reads: paths that are in DVC's cache as they are, and files from `top` that git doesn't have.

    An output that was changed by hand, or never committed, is carried as it is; so are the outputs that the stage goes
    on with.
    """
    cached = [out for out in stage.repo.index.outs if out.use_cache and out.protocol == "local"]
    pulled, plain = [], set[str]()
    for dep in stage.deps:
        if dep.protocol != "local" or dep.hash_name == "params" or getattr(dep, "def_repo", None):
            continue
        kept = [out for out in cached if dep.fs.overlaps(out.fs_path, dep.fs_path) and _is_kept(out)]
        pulled += [dep.fs_path if dep.fs.isin(dep.fs_path, out.fs_path) else out.fs_path for out in kept]
        plain.update(path for path in _files(dep) if not any(dep.fs.isin_or_eq(path, out.fs_path) for out in kept))
    inside = [os.path.relpath(path, top) for path in sorted(plain) if _is_in(top, path)]
    carried = work_tree.ignored(top, inside)
    carried += [os.path.relpath(path, top) for out in stage.outs if out.persist for path in _files(out)]
    return list(dict.fromkeys(pulled)), carried


def _is_kept(out: Any) -> bool:
    """Whether DVC's cache has it as it is in the workspace."""
    return out.exists and not out.changed_checksum() and not out.changed_cache()


def _files(entry: Any) -> list[str]:
    """The files that DVC sees of a dep or an out."""
    if entry.protocol != "local" or not entry.exists:
        return []
    return list(entry.dvcignore.find(entry.fs, entry.fs_path)) if entry.fs.isdir(entry.fs_path) else [entry.fs_path]


def _is_in(top: Path, path: str) -> bool:
    """Whether a file is in the repository. Others, as on a disk of all machines, are for the node to find."""
    return Path(path).is_relative_to(top)
