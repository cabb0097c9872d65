"""Keeps the alias `production` of a registered model where the record in git has it.

The record (production.json) is an output of a stage that names it in `meta.wandb.promotes`. Git decides: the
alias moves when that stage runs on one of the branches in the parameter that `meta.wandb.branches` names, or when a
person asks; an experiment, another branch or a pull request records its decision and leaves the alias alone. By itself
it moves only from the model that the recorded one replaces: another holder is somebody's decision.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage import git, production
from lineage.connection import Connection
from lineage.errors import LineageError
from lineage.pipeline import Execution, Pipeline, setting
from lineage.production import Record

ALIAS = "production"
FILL = "`python -m lineage mirror --all-commits` fills the registry with what git and DVC have of the past."


@dataclass(frozen=True)
class Wanted:
    """What the record says is in production: a model by its md5, in a registered model, and what it replaced."""

    registered_model: str
    md5: str
    replaces: str | None = None
    by_person: bool = False

    @property
    def version(self) -> str:
        return f"{self.registered_model}:dvc-{self.md5}"

    def __str__(self) -> str:
        return f"{self.registered_model} {self.md5[:8]}"


@dataclass(frozen=True)
class Held:
    """The version that has the alias in the registry; `md5` is "" for one that DVC doesn't know."""

    md5: str
    version: str
    entity: str
    project: str
    collection: str
    type: str

    def __str__(self) -> str:
        return f"{self.md5[:8] or 'a model that DVC does not know'} ({self.version})"


def recorded(pipeline: Pipeline, execution: Execution) -> Wanted | None:
    """The record that `execution` keeps; None where it keeps none, or where nothing is in production."""
    path = execution.meta.get("promotes")
    if not path:
        return None
    try:
        return of_record(production.read(pipeline.at_hand(execution.out(path))))
    except (OSError, LineageError):
        raise LineageError(
            f"{path} is no record of what is in production. `git checkout {path}` restores it."
        ) from None


def of_record(record: Record) -> Wanted | None:
    """None where nothing is in production."""
    by_person = record.decided_by == production.PERSON
    return Wanted(record.registered_model, record.model_md5, record.replaces, by_person) if record.model_md5 else None


def candidate(pipeline: Pipeline, target: str) -> str | None:
    """The model that the pipeline links to `target`, as it lies in the workspace; None where no stage does."""
    for execution in pipeline.locked():
        for path, linked in (execution.meta.get("links") or {}).items():
            if linked == target:
                return next((dep.md5 for dep in pipeline.running(execution.stage).deps if dep.path == path), None)
    return None


# ---- who may ----


def why_never_here() -> str | None:
    """Why nobody may move the alias from here; None where one may."""
    if os.environ.get("DVC_EXP_NAME") or os.environ.get("DVC_EXP_BASELINE_REV"):
        return f"this is the experiment {os.environ.get('DVC_EXP_NAME', '')}".rstrip()
    if os.environ.get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        return "this is a pull request's job"
    return None


def why_not_here(pipeline: Pipeline, execution: Execution) -> str | None:
    """Why a run here may not move the alias by itself; None where it may."""
    if reason := why_never_here():
        return reason
    name = execution.meta.get("branches", "")
    branches = setting(pipeline.root, name)
    if not isinstance(branches, list) or not all(isinstance(one, str) for one in branches):
        raise LineageError(f"params.yaml: {name} is {branches!r}; it must be a list of branches, such as [main].")
    branch = _branch(pipeline.root)
    if branch not in branches:
        here = f"the branch {branch}" if branch else "a checkout without a branch"
        return f"this is {here}, not {' or '.join(branches) or 'one that promotes'}"
    return None


# ---- the alias ----


def held(target: str, alias: str = ALIAS) -> Held | None:
    """The version of the registered model `target` that has the alias now; None where none has."""
    import wandb

    api, name = wandb.Api(), f"{target}:{alias}"
    return _held(api.artifact(name)) if api.artifact_exists(name) else None


def holder(wanted: Wanted) -> str | None:
    """The md5 of the model that has the alias in the registry now; "" for one that DVC doesn't know."""
    found = held(wanted.registered_model)
    return found.md5 if found else None


def _held(version: Any) -> Held:
    md5s = (alias.removeprefix("dvc-") for alias in version.aliases if alias.startswith("dvc-"))
    collection = version.name.rpartition(":")[0]
    return Held(next(md5s, ""), version.version, version.entity, version.project, collection, version.type)


def move(wanted: Wanted, record: str) -> Held:
    """Put the alias on the recorded version, which is returned, and on its `record`: that is how a click is told apart.

    What has it already stays as it is. Raises LineageError where the registry doesn't hold the recorded version.
    """
    import wandb

    api = wandb.Api()
    if not api.artifact_exists(wanted.version):
        raise LineageError(
            f"the registry has no version of {wanted.registered_model} with the bytes that are in production "
            f"({wanted.md5}); the alias '{ALIAS}' stays where it is. {FILL}"
        )
    version = api.artifact(wanted.version)
    records = [api.artifact(record)] if api.artifact_exists(record) else []
    for one in (*records, version):  # the record first, for whoever sees the model's alias move
        if ALIAS not in one.aliases:
            one.aliases.append(ALIAS)
            one.save()
    return _held(version)


def record_in(connection: Connection, execution: Execution, alias: str = "") -> str:
    """The version of the record in the registry: the one that `execution` wrote, or the one that has `alias`."""
    out = execution.out(str(execution.meta["promotes"]))
    return f"{connection.path}/{out.artifact}:{alias or out.alias}"


def may_leave(pipeline: Pipeline, wanted: Wanted, now: Held | None) -> bool:
    """Whether the alias may go to the recorded model by itself from where it is `now`.

    From nowhere, or from the model that the gate compared with, or that a person replaced. Not where the gate let
    everything be: then the alias was moved by somebody.
    """
    if now is None or now.md5 == wanted.md5:
        return True
    just_promoted = wanted.by_person or candidate(pipeline, wanted.registered_model) == wanted.md5
    return just_promoted and now.md5 == wanted.replaces


def follow(pipeline: Pipeline, execution: Execution, connection: Connection) -> str | None:
    """Make the registry agree with the record where that is allowed; one sentence on what came of it."""
    wanted = recorded(pipeline, execution)
    if wanted is None:
        return "nothing is in production" if execution.meta.get("promotes") else None
    if reason := why_not_here(pipeline, execution):
        return f"the record names {wanted}; the alias '{ALIAS}' stays where it is: {reason}"
    now = held(wanted.registered_model)
    if not may_leave(pipeline, wanted, now):
        return drifted(execution, wanted, now)
    move(wanted, record_in(connection, execution))
    moved = now is None or now.md5 != wanted.md5
    return f"{wanted} is {ALIAS}{' now' if moved else ''}, in {execution.meta['promotes']} and at {connection.url}"


def fill_in(pipeline: Pipeline, execution: Execution, connection: Connection, unfinished: bool = False) -> str | None:
    """Set the alias where no version has it; a sentence where another version than the recorded one does.

    That may be a person's click, so it is reported and left: `promote` decides. After an `unfinished` run of the stage,
    which stopped before it moved the alias or while the registry was away, this makes it up.
    """
    wanted = recorded(pipeline, execution)
    if wanted is None or why_not_here(pipeline, execution):
        return None
    now = held(wanted.registered_model)
    if now is None:
        return follow(pipeline, execution, connection)
    if now.md5 == wanted.md5:
        return None
    if unfinished and may_leave(pipeline, wanted, now):
        move(wanted, record_in(connection, execution))
        return f"{wanted} is {ALIAS} now: a promotion that had stopped before the registry knew is complete"
    return drifted(execution, wanted, now)


def drifted(execution: Execution, wanted: Wanted, now: Held | None) -> str:
    """That the two sides differ, and the two ways out."""
    return (
        f"{execution.meta['promotes']} names {wanted.md5[:8]}, but in the registry {now or 'nothing'} is {ALIAS} of "
        f"{wanted.registered_model}: `make promote` makes the registry follow git, `make promote FROM=registry` makes "
        "git follow the registry"
    )


def _branch(root: Path) -> str | None:
    return git.said(root, "symbolic-ref", "--short", "-q", "HEAD") or None
