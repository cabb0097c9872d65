"""Takes what a stage made on a node into the head's workspace: as if DVC had run it here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from dvc_wandb.parallel import stage_process
from dvc_wandb.parallel.cluster.away import archive, contents
from dvc_wandb.parallel.cluster.job_folder import JobFolder
from dvc_wandb.project.git import work_tree


def merge(root: Path, folder: JobFolder, target: str, job: str, only_if_current: bool) -> int:
    """Write the stage's entry of dvc.lock, its outputs and their lines of .gitignore: RAN.

    With `only_if_current`, ELSEWHERE if it reads something else by now than when it ran.
    """
    attempt = folder.attempt_of(job)

    def work(repo: Any) -> int:
        from dvc.repo import lock_repo
        from dvc.utils.serialize import loads_yaml

        entry = loads_yaml(folder.exchange.text(f"entry-{attempt}") or "")
        with lock_repo(repo):
            (stage,) = repo.stage.collect(target)
            if only_if_current and not _is_current(stage, entry):
                return stage_process.ELSEWHERE
            _write_entry(stage, entry)
            _replace_uncached(stage, folder, f"result-{attempt}", work_tree.top_of(root))
            repo._reset()
            contents.pull(repo, [out.fs_path for out in stage.outs if out.use_cache], force=True)
            (stage,) = repo.stage.collect(target)
            with repo.scm_context(quiet=True) as scm:
                stage.ignore_outs()
                scm.track_file(stage.dvcfile._lockfile.path)
            if all(out.use_cache or out.is_metric or out.is_plot for out in stage.outs):
                stage.repo.stage_cache.save(stage)
        return stage_process.RAN

    return stage_process.with_repo(root, target, work)


def _is_current(stage: Any, entry: dict[str, Any]) -> bool:
    """Whether the stage would run with the same command, deps and params as the entry has."""
    from dvc.stage.serialize import to_single_stage_lockfile
    from dvc.utils.serialize import dumps_yaml

    stage.save_deps()
    now = to_single_stage_lockfile(stage)
    return all(
        dumps_yaml({"": now.get(part)}) == dumps_yaml({"": entry.get(part)}) for part in ("cmd", "deps", "params")
    )


def _write_entry(stage: Any, entry: dict[str, Any]) -> None:
    from dvc.utils.serialize import modify_yaml

    with modify_yaml(stage.dvcfile._lockfile.path) as data:
        if not data:
            data["schema"] = "2.0"
        data.setdefault("stages", {})[stage.name] = entry


def _replace_uncached(stage: Any, folder: JobFolder, name: str, top: Path) -> None:
    for out in stage.outs:
        if not out.use_cache and out.protocol == "local":
            if Path(out.fs_path).is_dir():
                shutil.rmtree(out.fs_path)
            else:
                Path(out.fs_path).unlink(missing_ok=True)
    archive.take(folder.exchange, name, top)
