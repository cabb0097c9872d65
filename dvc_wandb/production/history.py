"""What was in production from when to when: as git tells it, and as the registry's activity log does."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path

from dvc_wandb import production
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import Record, restoring
from dvc_wandb.production.record import UnreadableRecordError, can_be_read
from dvc_wandb.production.registry_state import ALIAS, AliasMove
from dvc_wandb.project import git


@dataclass(frozen=True)
class ProductionPeriod:
    """A model in production since a commit of the record; `commit` is None for what is not committed yet."""

    record: Record
    commit: str | None
    at: datetime
    by: str


@dataclass(frozen=True)
class CommittedRecord:
    """The record as HEAD has it, the md5 of its file, and the last commit that changed it."""

    record: Record
    md5: str
    commit: str


@dataclass(frozen=True)
class ModelOrigin:
    """The commit whose lock first had a model, and what its stage read that other stages made: path → md5."""

    commit: str
    deps: dict[str, str]


# ---- git ----


def committed(root: Path, path: str) -> CommittedRecord | None:
    """The record as HEAD has it; None where it has none. Raises DvcWandbError where that is no record."""
    content = git.file_at(root, "HEAD", path)
    if content is None:
        return None
    commit = _git(root, "log", "-1", "--format=%H", "--", path)
    try:
        record = production.parse(content.decode(errors="replace"), path)
    except DvcWandbError:
        command = restoring.command_for_commit(root / path, lambda text: can_be_read(production.parse, text))
        raise UnreadableRecordError(f"{path} at the commit {commit[:10]}", "it is no record", command) from None
    return CommittedRecord(record, hashlib.md5(content).hexdigest(), commit)


def from_git(root: Path, path: str) -> list[ProductionPeriod]:
    """The models that the committed record named, oldest first, along the first parents of this branch.

    Commits that changed no more than the record's words are left out, save that a reason may come later than the
    model.
    """
    periods: list[ProductionPeriod] = []
    log = _git(root, "log", "--reverse", "--first-parent", "--format=%H%x1f%cI%x1f%an", "--", path)
    for line in log.splitlines():
        commit, at, by = line.split("\x1f")
        if record := _record_at(root, path, commit):
            _append(periods, ProductionPeriod(record, commit, datetime.fromisoformat(at), by))
    return periods


def with_workspace(root: Path, path: str) -> list[ProductionPeriod]:
    """The models that the record named, and last the one that it names in the workspace, where that can be read."""
    periods = from_git(root, path)
    with contextlib.suppress(FileNotFoundError, UnreadableRecordError):
        record = production.read(root / path)
        user = git.output_or_none(root, "config", "user.name") or ""
        _append(periods, ProductionPeriod(record, None, datetime.now().astimezone(), user))
    return periods


def _append(periods: list[ProductionPeriod], new: ProductionPeriod) -> None:
    """Add a period; one of the same model only gives the last one its reason."""
    last = periods[-1] if periods else None
    if last is None or _model(new.record) != _model(last.record):
        periods.append(new)
    elif not last.record.reason:
        periods[-1] = replace(last, record=new.record)


def _model(record: Record) -> tuple[str, str | None]:
    return record.registered_model, record.model_md5


def _record_at(root: Path, path: str, commit: str) -> Record | None:
    """The record at a commit; None where none can be read, as with the marks of a merge conflict in it."""
    content = git.file_at(root, commit, path)
    try:
        return production.parse(content.decode(errors="replace"), path) if content else None
    except DvcWandbError:
        return None


def period_at(periods: list[ProductionPeriod], moment: datetime) -> ProductionPeriod | None:
    """What was in production then; None before the first."""
    return next((one for one in reversed(periods) if one.commit and one.at <= moment), None)


def parse_moment(text: str) -> datetime:
    """A date and time, or a date for its end; in the local time zone by default. Raises DvcWandbError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DvcWandbError(f"{text!r} is no date; write it as 2026-11-01, or 2026-11-01T14:30.") from None
    if len(text) <= len("2026-11-01"):
        moment = datetime.combine(moment.date(), time.max)
    return moment.astimezone()


def rollback_target(periods: list[ProductionPeriod], record: Record) -> Record | None:
    """The record to roll back to: what `record` replaced, or what was before that if a person took it back since."""
    in_force: list[Record] = []
    for one in periods:
        if one.record.registered_model == record.registered_model and one.record.model_md5:
            _put_in_force(in_force, one.record)
    return in_force[-2] if len(in_force) > 1 else None


def _put_in_force(in_force: list[Record], record: Record) -> None:
    """Put a record on the stack of those in force, without what was taken back in between, committed or not."""
    while any(one.model_md5 == record.replaces for one in in_force[:-1]) and in_force[-1].model_md5 != record.replaces:
        in_force.pop()
    models = [one.model_md5 for one in in_force]
    if record.decided_by == production.PERSON and models[-2:-1] == [record.model_md5]:
        in_force.pop()
    if models and in_force[-1].model_md5 == record.model_md5:
        in_force.pop()
    in_force.append(record)


def last_record_of(periods: list[ProductionPeriod], md5: str) -> Record | None:
    """What was recorded last of a model that was in production."""
    return next((one.record for one in reversed(periods) if one.record.model_md5 == md5), None)


def went_on(root: Path, commit: str) -> bool:
    """Whether this branch is at an earlier commit than `commit`, which others have."""
    is_later = git.output_or_none(root, "merge-base", "--is-ancestor", "HEAD", commit) is not None
    return is_later and not is_here(root, commit)


def is_here(root: Path, commit: str) -> bool:
    """Whether a commit is part of this branch, or was, before this clone wrote its history anew."""
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return False
    newer = git.output_or_none(root, "rev-list", "--max-count=1", commit, "--not", "HEAD")
    return newer == "" or (newer is not None and not git.output_or_none(root, "branch", "-r", "--contains", commit))


def origin_of(root: Path, md5: str) -> ModelOrigin | None:
    """Where a model comes from, by git's history of dvc.lock; None where no commit had it."""
    import yaml

    commits = _git(root, "log", "--reverse", "--format=%H", f"-S{md5}", "--", "dvc.lock").split()
    for commit in commits[:1]:
        stages = (yaml.safe_load(_git(root, "show", f"{commit}:./dvc.lock")) or {}).get("stages") or {}
        out_paths = {out["path"] for stage in stages.values() for out in stage.get("outs", [])}
        for stage in stages.values():
            if any(out.get("md5") == md5 for out in stage.get("outs", [])):
                deps = {dep["path"]: dep["md5"] for dep in stage.get("deps", []) if dep["path"] in out_paths}
                return ModelOrigin(commit, deps)
    return None


def _git(root: Path, *arguments: str) -> str:
    return git.output(root, *arguments, failure="git can't tell the history of production")


# ---- both ----


def differences(periods: list[ProductionPeriod], moves: list[AliasMove]) -> list[str]:
    """The moves of the alias of which git knows nothing, a sentence each.

    Decisions that the registry never followed are no difference: it may be younger, or follow several at once.
    """
    distinct_moves: list[AliasMove] = []
    for move in moves:
        if move.md5 is not None and (not distinct_moves or distinct_moves[-1].md5 != move.md5):
            distinct_moves.append(move)
    git_md5s = [one.record.model_md5 for one in periods if one.record.model_md5]
    unknown = _not_in_order(git_md5s, [move.md5 for move in distinct_moves])
    return [
        f"in the registry {move.by} put {ALIAS} on {(move.md5 or '')[:8] or 'a model that DVC does not know'} "
        f"({move.version}) at {move.at:%Y-%m-%d %H:%M}, of which git knows nothing"
        for move in (distinct_moves[at] for at in unknown)
    ]


def _not_in_order(first: Sequence[str | None], second: Sequence[str | None]) -> list[int]:
    """The places in `second` that are not in the longest common subsequence of the two."""
    common = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]  # its length from two places on
    for i in reversed(range(len(first))):
        for j in reversed(range(len(second))):
            skipping = max(common[i + 1][j], common[i][j + 1])
            common[i][j] = common[i + 1][j + 1] + 1 if first[i] == second[j] else skipping
    i, places = 0, []
    for j, item in enumerate(second):
        while i < len(first) and first[i] != item and common[i + 1][j] == common[i][j]:
            i += 1
        if i < len(first) and first[i] == item:
            i += 1
        else:
            places.append(j)
    return places
