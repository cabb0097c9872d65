"""What was in production from when to when: as git tells it, and as the registry's activity log does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time
from difflib import SequenceMatcher
from pathlib import Path

from dvc_wandb import production
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import Record
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
class ModelOrigin:
    """The commit whose lock first had a model, and what its stage read that other stages made: path → md5."""

    commit: str
    deps: dict[str, str]


# ---- git ----


def from_git(root: Path, path: str) -> list[ProductionPeriod]:
    """The models that the record named, oldest first, along the first parents of this branch.

    Commits that changed no more than the record's words are left out, save that a reason may come later than the
    model; what lies in the workspace comes last.
    """
    periods: list[ProductionPeriod] = []
    log = _git(root, "log", "--reverse", "--first-parent", "--format=%H%x1f%cI%x1f%an", "--", path)
    for line in log.splitlines():
        commit, at, by = line.split("\x1f")
        if record := _record_at(root, path, commit):
            _append(periods, ProductionPeriod(record, commit, datetime.fromisoformat(at), by))
    if (root / path).exists():
        now = datetime.now().astimezone()
        user = git.output_or_none(root, "config", "user.name") or ""
        _append(periods, ProductionPeriod(production.read(root / path), None, now, user))
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


def why_incomplete(root: Path) -> str | None:
    """That git lacks a part of the history here, and how to get it; None where it has all."""
    if git.output_or_none(root, "rev-parse", "--is-shallow-repository") != "true":
        return None
    return "this clone is shallow: git's history is cut off; `git fetch --unshallow` brings the rest"


def _record_at(root: Path, path: str, commit: str) -> Record | None:
    """The record at a commit; None where none can be read, as with the marks of a merge conflict in it."""
    text = git.output_or_none(root, "show", f"{commit}:./{path}")
    try:
        return production.parse(text, path) if text else None
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


def superseded(root: Path, path: str, record: Record) -> list[Record]:
    """The records that `record` supersedes by git's history: none of another branch, none that isn't in git.

    A gate chooses over the record that it compared with, and so over those that this one had been chosen over. A person
    chooses over all there were before, and so does who takes an earlier record back.
    """
    chain, records = [record], _committed_records(root, path, "HEAD")
    while True:
        decision_commit = next((commit for commit, one in records if one == record), None)
        if decision_commit:
            records = [
                (commit, one)
                for commit, one in _committed_records(root, path, decision_commit)
                if commit != decision_commit
            ]
        if record.decided_by == production.PERSON or any(one == record for _, one in records):
            return chain + [one for _, one in records]
        earlier = next((one for _, one in records if one.model_md5 == record.replaces), None)
        if earlier is None or record.replaces is None:
            return chain
        record = earlier
        chain.append(record)


def is_later(root: Path, path: str, later: Record | None, earlier: Record) -> bool:
    """Whether git has `later` after `earlier`."""
    records = [record for _, record in _committed_records(root, path, "HEAD")]
    return later in records and earlier in records[records.index(later) :]


def _committed_records(root: Path, path: str, tip: str) -> list[tuple[str, Record]]:
    """The record as each commit that leads to `tip` left it, newest first; a merge makes no record of its own."""
    if git.output_or_none(root, "rev-parse", "--verify", "--quiet", tip) is None:  # no git, or nothing committed yet
        return []
    log = _git(root, "log", "--full-history", "--no-merges", "--topo-order", "--format=%H", tip, "--", path)
    records = ((commit, _record_at(root, path, commit)) for commit in log.split())
    return [(commit, record) for commit, record in records if record]


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
    """Where the two sides tell different stories, a sentence each. A registry may be younger than git's history."""
    recorded = [one for one in periods if one.record.model_md5]
    distinct_moves: list[AliasMove] = []
    for move in moves:
        if move.md5 is not None and (not distinct_moves or distinct_moves[-1].md5 != move.md5):
            distinct_moves.append(move)
    git_md5s, registry_md5s = [one.record.model_md5 for one in recorded], [move.md5 for move in distinct_moves]
    if not registry_md5s or git_md5s[-len(registry_md5s) :] == registry_md5s:
        return []
    sentences = []
    for kind, start, end, first, last in SequenceMatcher(None, git_md5s, registry_md5s, autojunk=False).get_opcodes():
        if kind in ("delete", "replace") and (first or start):  # what git had before the registry began is no fault
            sentences += [
                f"git has {str(one.record.model_md5)[:8]} in production since {_since(one)}, the registry never had it "
                "at that place"
                for one in recorded[start:end]
            ]
        if kind in ("insert", "replace"):
            sentences += [
                f"in the registry {move.by} put {ALIAS} on {(move.md5 or '')[:8] or 'a model that DVC does not know'} "
                f"({move.version}) at {move.at:%Y-%m-%d %H:%M}, of which git knows nothing"
                for move in distinct_moves[first:last]
            ]
    return sentences


def _since(period: ProductionPeriod) -> str:
    return f"the commit {period.commit[:10]}" if period.commit else "now, not committed yet"
