"""Which model was in production when: by git's history of the record, and by the registry's activity log."""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path

from dvc_wandb import production
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import Record, restoring
from dvc_wandb.production.record import UnreadableRecordError, can_be_read
from dvc_wandb.production.registry_state import ALIAS, AliasMove
from dvc_wandb.project import git
from dvc_wandb.project.git import revisions


@dataclass(frozen=True)
class ProductionPeriod:
    """A model that is in production since a commit; `commit` is None if that is not made yet."""

    record: Record
    commit: str | None
    at: datetime
    by: str


@dataclass(frozen=True)
class CommittedRecord:
    """The record in HEAD, the md5 of its file, and the last commit that changed it."""

    record: Record
    md5: str
    commit: str


@dataclass(frozen=True)
class ModelOrigin:
    """The first commit with a model in its lock. `deps` are what its stage read of other stages: path → md5."""

    commit: str
    deps: dict[str, str]


# ---- git ----


def committed(root: Path, path: str) -> CommittedRecord | None:
    """The record in HEAD; None if there is none. Raises DvcWandbError if it can't be read."""
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

    Leaves out commits that change no model. A reason may be committed after its model.
    """
    periods: list[ProductionPeriod] = []
    log = _git(root, "log", "--reverse", "--first-parent", "--format=%H%x1f%cI%x1f%an", "--", path)
    for line in log.splitlines():
        commit, at, by = line.split("\x1f")
        if record := record_at(root, path, commit):
            _append(periods, ProductionPeriod(record, commit, datetime.fromisoformat(at), by))
    return periods


def with_workspace(root: Path, path: str) -> list[ProductionPeriod]:
    """The models that the record named in git, then the one in the workspace if it can be read."""
    periods = from_git(root, path)
    with contextlib.suppress(FileNotFoundError, UnreadableRecordError):
        record = production.read(root / path)
        user = git.output_or_none(root, "config", "user.name") or ""
        _append(periods, ProductionPeriod(record, None, datetime.now().astimezone(), user))
    return periods


def _append(periods: list[ProductionPeriod], new: ProductionPeriod) -> None:
    """Add a period, or its reason to the last one if that has the same model."""
    last = periods[-1] if periods else None
    if last is None or _model(new.record) != _model(last.record):
        periods.append(new)
    elif not last.record.reason:
        periods[-1] = replace(last, record=new.record)


def _model(record: Record) -> tuple[str, str | None]:
    return record.registered_model, record.model_md5


def record_at(root: Path, path: str, commit: str) -> Record | None:
    """The record at a commit; None if it can't be read, such as with the marks of a merge conflict."""
    content = git.file_at(root, commit, path)
    try:
        return production.parse(content.decode(errors="replace"), path) if content else None
    except DvcWandbError:
        return None


def period_at(periods: list[ProductionPeriod], moment: datetime) -> ProductionPeriod | None:
    """The period at a moment; None before the first one."""
    return next((one for one in reversed(periods) if one.commit and one.at <= moment), None)


def parse_moment(text: str) -> datetime:
    """A date and time; of a date alone its end. Local time by default. Raises DvcWandbError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DvcWandbError(f"{text!r} is no date; write it as 2026-11-01, or 2026-11-01T14:30.") from None
    if len(text) <= len("2026-11-01"):
        moment = datetime.combine(moment.date(), time.max)
    return moment.astimezone()


def rollback_target(periods: list[ProductionPeriod], record: Record) -> Record | None:
    """The record before `record`, without those that a person has rolled back from; None if there is none."""
    in_force: list[Record] = []
    for one in periods:
        if one.record.registered_model == record.registered_model and one.record.model_md5:
            _put_in_force(in_force, one.record)
    return in_force[-2] if len(in_force) > 1 else None


def _put_in_force(in_force: list[Record], record: Record) -> None:
    """Put a record on the stack, without those that it takes back."""
    while any(one.model_md5 == record.replaces for one in in_force[:-1]) and in_force[-1].model_md5 != record.replaces:
        in_force.pop()
    models = [one.model_md5 for one in in_force]
    if record.decided_by == production.PERSON and models[-2:-1] == [record.model_md5]:
        in_force.pop()
    if models and in_force[-1].model_md5 == record.model_md5:
        in_force.pop()
    in_force.append(record)


def last_record_of(periods: list[ProductionPeriod], md5: str) -> Record | None:
    """The last record of a model; None if it was never in production."""
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
    """The origin of a model, by git's history of the locks; None if no commit has it."""
    commits = _git(root, "log", "--reverse", "--format=%H", f"-S{md5}", "--", *revisions.LOCKS).split()
    for commit in commits[:1]:
        stages = list(_locked_stages(root, commit))
        out_paths = {path for _, outs in stages for path in outs}
        deps = next((deps for deps, outs in stages if md5 in outs.values()), {})  # none of what `dvc add` keeps
        return ModelOrigin(commit, {path: dep_md5 for path, dep_md5 in deps.items() if path in out_paths})
    return None


def _locked_stages(root: Path, commit: str) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """The md5s of the deps and outs, by their paths, of each stage in a dvc.lock of a commit."""
    import yaml

    files = _git(root, "ls-tree", "-r", "-z", "--name-only", commit).split("\0")
    for file in (one for one in files if posixpath.basename(one) == "dvc.lock"):
        lock = yaml.safe_load(_git(root, "show", f"{commit}:./{file}")) or {}
        for stage in (lock.get("stages") or {}).values():
            yield _md5s(file, stage.get("deps")), _md5s(file, stage.get("outs"))


def _md5s(lock: str, entries: list[dict[str, str]] | None) -> dict[str, str]:
    folder = posixpath.dirname(lock)
    return {posixpath.normpath(posixpath.join(folder, one["path"])): one.get("md5", "") for one in entries or []}


def _git(root: Path, *arguments: str) -> str:
    return git.output(root, *arguments, failure="git can't tell the history of production")


# ---- both ----


def differences(periods: list[ProductionPeriod], moves: list[AliasMove]) -> list[str]:
    """A sentence for each move of the alias that git doesn't have.

    A decision without a move is no difference: the registry may be newer, or have followed several at once.
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
    """The indexes in `second` of what is not in the longest common subsequence of the two."""
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
