"""What a promotion would do, tried in a copy of the project: nothing is changed, neither here nor in the registry."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dvc_wandb import production, temporary_folders
from dvc_wandb.errors import LineageError, RegistryAway, first_line, in_a_sentence
from dvc_wandb.production import Record, alias, registry_state
from dvc_wandb.production.promoting_stage import PromotingStage
from dvc_wandb.production.registry_state import ALIAS, AliasHolder
from dvc_wandb.project import git
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.promotion import decisions
from dvc_wandb.sync import fetch


def of_gate(where: PromotingStage) -> Iterator[str]:
    """What the gate would decide, and what then would move."""
    waiting = _would_run_first(where)
    if waiting:
        yield f"would run first: {', '.join(waiting)}; what they make is not known yet, and so neither is the decision."
        return
    before, clicked = where.record(), decisions.by_click(where)
    copy = PromotingStage(temporary_folders.folder(), where.stage, where.path, where.environment)
    _copy(where, copy.root)
    for _ in range(decisions.TRIES):
        _lend(where, copy)
        yield _decided_in(copy)
        after = copy.record()
        faster = _faster(where, after, clicked)
        if faster is None:
            break
        theirs = decisions.taken_over(where, before, after, faster)
        yield decisions.deciding_again(faster)
        production.write(copy.file, theirs)
    yield from of_record(where, after)


def _faster(where: PromotingStage, after: Record | None, clicked: AliasHolder | None) -> AliasHolder | None:
    """Who is production in the registry though the gate would not have compared with it."""
    now = decisions.holder(where)
    if now is None or after is None or now.md5 == after.model_md5:
        return None
    return None if now == clicked or decisions.chosen_over(where, after, now) else now


def of_record(where: PromotingStage, after: Record | None) -> Iterator[str]:
    """What would move if `after` became the record."""
    before = where.record()
    names = [record.model_md5 if record else None for record in (before, after)]
    if before == after:
        yield f"{where.path} would stay as it is: {_short(names[0])} in production."
    elif after and names[0] == names[1]:
        yield f"{where.path} would name {_short(names[1])} still, instead of {_short(after.replaces)}: {after.reason}."
    else:
        yield f"{where.path} would name {_short(names[1])} instead of {_short(names[0])}."
    wanted = alias.of_record(after) if after else None
    if wanted is None:
        return
    try:
        where.connected()
    except RegistryAway as error:
        yield f"the registry was not asked: {in_a_sentence(error)}."
        return
    now = registry_state.held(wanted.registered_model)
    if now and now.md5 == wanted.md5:
        yield f"{now} is {ALIAS} in the registry, and would stay it."
    else:
        yield f"{ALIAS} would move from {now or 'nothing'} to {_short(wanted.md5)} in the registry."


def _would_run_first(where: PromotingStage) -> list[str]:
    """The stages before this one that `dvc repro` would run."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "dvc", "repro", "--dry", where.stage],
        cwd=where.root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it says nothing"]
        raise LineageError(f"`dvc repro --dry {where.stage}` failed: {said[0]}")
    ran = [text.split("'")[1] for text in done.stdout.splitlines() if text.startswith("Running stage '")]
    return [stage for stage in ran if stage != where.stage]


def _copy(where: PromotingStage, target: Path) -> None:
    """What git would have of the project, and what the stage reads; large files as links, what it writes as copies."""
    names = _names(where.root)
    pipeline = Pipeline(where.root)
    for dep in pipeline.workspace_execution(where.stage).deps:
        path = where.root / dep.path
        files = path.rglob("*") if path.is_dir() else [path]
        names |= {file.relative_to(where.root).as_posix() for file in files if file.is_file()}
    for name in sorted(names):
        if (where.root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(where.root / name, target / name)
    cache = target / ".dvc" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (target / ".dvc" / "config.local").write_text(f"[core]\n    no_scm = true\n[cache]\n    dir = {cache}\n")


def _names(root: Path) -> set[str]:
    """The files that git has or would take; without git all but the hidden ones, and DVC's settings."""
    listed = git.output_or_none(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is not None:
        return {name for name in listed.split("\0") if name}
    shown = [path for path in root.glob("[!.]*") if path.is_file()]
    shown += [file for folder in root.glob("[!.]*/") for file in folder.rglob("*") if file.is_file()]
    return {path.relative_to(root).as_posix() for path in shown} | {".dvc/config", ".dvcignore"}


def _lend(where: PromotingStage, copy: PromotingStage) -> None:
    """Put the models that a candidate may be held against where a trial finds them, though it asks no registry."""
    record, pipeline, cache = copy.record(), Pipeline(where.root), copy.root / ".dvc" / "cache" / "files" / "md5"
    if record is None:
        return
    for md5 in filter(None, (record.model_md5, record.replaces)):
        with contextlib.suppress(LineageError):  # gone: the trial says what that means
            found = fetch.find(pipeline, record.registered_model, md5, where.connected)
            (cache / md5[:2]).mkdir(parents=True, exist_ok=True)
            if not (cache / md5[:2] / md5[2:]).exists():
                (cache / md5[:2] / md5[2:]).symlink_to(found)


def _decided_in(copy: PromotingStage) -> str:
    """The stage's sentence, having run it there without a registry to tell."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "dvc", "repro", "--force", "--single-item", copy.stage],
        cwd=copy.root,
        env={**copy.environment, "WANDB_MODE": "disabled"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [text for text in done.stderr.splitlines() if text.startswith(f"{copy.stage}: ")] or [done.stderr]
        raise LineageError(f"the trial of '{copy.stage}' failed: {first_line(Exception(said[0]))}")
    return decisions.decision(copy)


def _short(md5: str | None) -> str:
    return md5[: len("4788251c")] if md5 else "nothing"
