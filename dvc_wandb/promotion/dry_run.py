"""Says what a promotion would do. Tries it in a copy of the project; changes neither the project nor the registry."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dvc_wandb import temporary_folders
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason
from dvc_wandb.production import Record, alias, approvals, registry_state
from dvc_wandb.production.promoting_stage import PromotingStage
from dvc_wandb.production.registry_state import ALIAS
from dvc_wandb.project import git
from dvc_wandb.project.dvc_errors import on_one_line
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.promotion.stage_run import decision
from dvc_wandb.sync import fetch


def try_gate(stage: PromotingStage) -> Iterator[str]:
    """Sentences on what the gate would decide, and what would move."""
    outdated = _outdated_upstream(stage)
    if outdated:
        stages = ", ".join(outdated)
        yield f"would run first: {stages}; what they make is not known yet, and so neither is the decision."
        return
    copy = PromotingStage(temporary_folders.folder(), stage.name, stage.record_path, stage.environment)
    _copy(stage, copy.root)
    _provide_models(stage, copy)
    yield _run_in_copy(copy)
    yield from try_record(stage, copy.record())


def try_record(stage: PromotingStage, after: Record | None) -> Iterator[str]:
    """Sentences on what would move if `after` became the record."""
    before = stage.last_record() if stage.record_file.exists() else None
    old, new = (record.model_md5 if record else None for record in (before, after))
    if before == after:
        yield f"{stage.record_path} would stay as it is: {_short(old)} in production."
    elif after and old == new:
        replaced = _short(after.replaces)
        yield f"{stage.record_path} would name {_short(new)} still, instead of {replaced}: {after.reason}."
    else:
        yield f"{stage.record_path} would name {_short(new)} instead of {_short(old)}."
    try:
        yield from _try_alias(stage, new)
    except RegistryUnavailableError as error:
        yield f"the registry was not asked: {error_reason(error)}."


def _try_alias(stage: PromotingStage, new: str | None) -> Iterator[str]:
    """Sentences on the alias if the record named `new`."""
    pipeline = Pipeline(stage.root)
    execution = pipeline.workspace_execution(stage.name)
    if reason := alias.why_fixed(pipeline, execution):
        yield f"'{ALIAS}' would stay where it is in the registry: {reason}."
        return
    model = alias.recorded_model(pipeline, execution)
    connection = stage.connect()
    holder = registry_state.find_version(connection, model.target) if model else None
    if new != (model and model.md5):
        yield f"'{ALIAS}' would stay on {holder or 'nothing'} in the registry until that is committed."
    elif holder and holder.md5 == new:
        yield f"'{ALIAS}' would stay on {holder} in the registry."
    if model is None or (holder and holder.md5 == model.md5):
        return
    try:
        if holder:
            followed = approvals.followed_commit(pipeline, execution, connection, holder)
            alias.check_may_move(pipeline, execution, model, holder, followed, asked=True)
        moves = "move" if not approvals.are_needed(pipeline, execution) else "move, once a second person says yes,"
        yield f"'{ALIAS}' would {moves} from {holder or 'nothing'} to {_short(model.md5)} in the registry."
    except alias.AliasBlockedError as error:
        yield f"'{ALIAS}' would stay where it is: {error_reason(error)}."


def _outdated_upstream(stage: PromotingStage) -> list[str]:
    """The stages before this one that `dvc repro` would run."""
    process = subprocess.run(
        [sys.executable, "-P", "-m", "dvc", "repro", "--dry", stage.name],
        cwd=stage.root,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        reason = on_one_line(process.stderr) or "it says nothing"
        raise DvcWandbError(f"`dvc repro --dry {stage.name}` failed: {reason}")
    stages = [text.split("'")[1] for text in process.stdout.splitlines() if text.startswith("Running stage '")]
    return [name for name in stages if name != stage.name]


def _copy(stage: PromotingStage, target: Path) -> None:
    """Copy the files of git, and what the stage reads, to `target`."""
    names = _files_to_copy(stage.root)
    pipeline = Pipeline(stage.root)
    for dep in pipeline.workspace_execution(stage.name).deps:
        path = stage.root / dep.path
        files = path.rglob("*") if path.is_dir() else [path]
        names |= {file.relative_to(stage.root).as_posix() for file in files if file.is_file()}
    for name in sorted(names):
        if (stage.root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(stage.root / name, target / name)
    cache = target / ".dvc" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (target / ".dvc" / "config.local").write_text(f"[core]\n    no_scm = true\n[cache]\n    dir = {cache}\n")


def _files_to_copy(root: Path) -> set[str]:
    """The files that git has or would add; without git all but hidden ones, and DVC's settings."""
    listed = git.output_or_none(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is not None:
        return {name for name in listed.split("\0") if name}
    visible = [path for path in root.glob("[!.]*") if path.is_file()]
    visible += [file for folder in root.glob("[!.]*/") for file in folder.rglob("*") if file.is_file()]
    return {path.relative_to(root).as_posix() for path in visible} | {".dvc/config", ".dvcignore"}


def _provide_models(stage: PromotingStage, copy: PromotingStage) -> None:
    """Put the earlier models into the copy's cache: the trial compares the candidate with them, without a registry."""
    record, pipeline, cache = copy.record(), Pipeline(stage.root), copy.root / ".dvc" / "cache" / "files" / "md5"
    if record is None:
        return
    for md5 in filter(None, (record.model_md5, record.replaces)):
        with contextlib.suppress(DvcWandbError):  # gone: the trial says what that means
            path = fetch.find_model(pipeline, record.registered_model, md5, stage.connect)
            (cache / md5[:2]).mkdir(parents=True, exist_ok=True)
            if not (cache / md5[:2] / md5[2:]).exists():
                (cache / md5[:2] / md5[2:]).symlink_to(path)


def _run_in_copy(copy: PromotingStage) -> str:
    """Run the stage in the copy, without a registry; its decision."""
    process = subprocess.run(
        [sys.executable, "-P", "-m", "dvc", "repro", "--force", "--single-item", copy.name],
        cwd=copy.root,
        env={**copy.environment, "WANDB_MODE": "disabled"},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        errors = [text for text in process.stderr.splitlines() if text.startswith(f"{copy.name}: ")] or [process.stderr]
        raise DvcWandbError(f"the trial of '{copy.name}' failed: {on_one_line(errors[0])}")
    return decision(copy)


def _short(md5: str | None) -> str:
    return md5[: len("4788251c")] if md5 else "nothing"
