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

from dvc_wandb import content_alias, production
from dvc_wandb.client.connection import RegistryConnection, public_api
from dvc_wandb.errors import LineageError
from dvc_wandb.production import Record, registry_state
from dvc_wandb.production.registry_state import ALIAS, AliasHolder, held
from dvc_wandb.project import git
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import setting

FILL = "`dvc-wandb mirror --all-commits` fills the registry with what git and DVC have of the past."


@dataclass(frozen=True)
class RecordedModel:
    """What the record says is in production: a model by its md5, in a registered model."""

    record: Record
    md5: str

    @property
    def registered_model(self) -> str:
        return self.record.registered_model

    @property
    def version(self) -> str:
        return f"{self.registered_model}:{content_alias.make(self.md5)}"

    def __str__(self) -> str:
        return f"{self.registered_model} {self.md5[:8]}"


def recorded(pipeline: Pipeline, execution: Execution) -> RecordedModel | None:
    """The record that `execution` keeps; None where it keeps none, or where nothing is in production."""
    path = execution.meta.get("promotes")
    if not path:
        return None
    try:
        return of_record(production.read(pipeline.locate(execution.out(path))))
    except (OSError, LineageError):
        raise LineageError(
            f"{path} is no record of what is in production. `git checkout {path}` restores it."
        ) from None


def of_record(record: Record) -> RecordedModel | None:
    """None where nothing is in production."""
    return RecordedModel(record, record.model_md5) if record.model_md5 else None


def candidate(pipeline: Pipeline, target: str) -> str | None:
    """The model that the pipeline links to `target`, as it lies in the workspace; None where no stage does."""
    for execution in pipeline.locked():
        for path, linked in (execution.meta.get("links") or {}).items():
            if linked == target:
                return next(
                    (dep.md5 for dep in pipeline.workspace_execution(execution.stage).deps if dep.path == path), None
                )
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


def holder(wanted: RecordedModel) -> str | None:
    """The md5 of the model that has the alias in the registry now; "" for one that DVC doesn't know."""
    found = held(wanted.registered_model)
    return found.md5 if found else None


def move(
    connection: RegistryConnection, execution: Execution, wanted: RecordedModel, now: AliasHolder | None
) -> AliasHolder:
    """Put the alias on the recorded version from where it is `now`, after putting it on the record of that.

    Returns who has it then: another one where somebody was faster, who keeps it. Raises LineageError where the registry
    doesn't hold the recorded version.
    """
    api = public_api()
    if not api.artifact_exists(wanted.version):
        raise LineageError(
            f"the registry has no version of {wanted.registered_model} with the bytes that are in production "
            f"({wanted.md5}); the alias '{ALIAS}' stays where it is. {FILL}"
        )
    version = api.artifact(wanted.version)
    ours = registry_state.of_version(version)
    earlier = registry_state.log(connection, ours.place) or []
    _announce(
        api,
        f"{registry_state.record_path(connection, execution)}:{execution.out(execution.meta['promotes']).alias}",
        anew=ALIAS not in version.aliases,
    )
    _put_on(version)
    later = registry_state.log(connection, ours.place, after=earlier[-1]["id"] if earlier else 0) or []
    first = later[0] if later else {"before": now and now.version, "after": ours.version}
    winner = first["after"] if first["after"] != ours.version else first["before"]
    if (first["before"], first["after"]) == (now and now.version, ours.version) or winner is None:
        return ours
    faster = registry_state.held(wanted.registered_model, winner)
    if faster and later[-1]["after"] == ours.version:
        _give_back(api, connection, execution, wanted.registered_model, faster)
    return faster or ours


def _give_back(
    api: Any, connection: RegistryConnection, execution: Execution, target: str, faster: AliasHolder
) -> None:
    """Let who was faster have the alias again, and its record."""
    if behind := registry_state.behind(connection, execution, faster):
        _announce(api, f"{registry_state.record_path(connection, execution)}:{behind[0]}", anew=True)
    _put_on(api.artifact(f"{target}:{faster.version}"))


def _announce(api: Any, name: str, anew: bool) -> None:
    """Put the alias on a record, `anew` where it has it already: by the order in the log a click is told apart."""
    if not api.artifact_exists(name):
        return
    record = api.artifact(name)
    if anew and ALIAS in record.aliases:
        record.aliases.remove(ALIAS)
        record.save()
    _put_on(record)


def _put_on(version: Any) -> None:
    if ALIAS not in version.aliases:
        version.aliases.append(ALIAS)
        version.save()


def may_leave(
    pipeline: Pipeline,
    execution: Execution,
    connection: RegistryConnection,
    wanted: RecordedModel,
    now: AliasHolder | None,
    decided: bool,
) -> bool:
    """Whether the alias may go to the recorded model by itself from where it is `now`.

    From nowhere, or from the model that the gate compared with, or that a person replaced. Not where the gate let
    everything be, nor where the alias has followed this record before, unless the stage has `decided` so again:
    then somebody moved it since.
    """
    if now is None or now.md5 == wanted.md5:
        return True
    by_person = wanted.record.decided_by == production.PERSON
    if now.md5 != wanted.record.replaces:
        return False
    if not by_person and candidate(pipeline, wanted.registered_model) != wanted.md5:
        return False
    return decided or not registry_state.arrived(connection, execution, wanted.record, wanted.version)


def follow(
    pipeline: Pipeline, execution: Execution, connection: RegistryConnection, decided: bool = False
) -> str | None:
    """Make the registry agree with the record where that is allowed; one sentence on what came of it.

    `decided` says that the record changed while the stage ran.
    """
    wanted = recorded(pipeline, execution)
    if wanted is None:
        return "nothing is in production" if execution.meta.get("promotes") else None
    if reason := why_not_here(pipeline, execution):
        return f"the record names {wanted}; the alias '{ALIAS}' stays where it is: {reason}"
    now = held(wanted.registered_model)
    if not may_leave(pipeline, execution, connection, wanted, now, decided):
        return drifted(execution, wanted, now)
    moved = move(connection, execution, wanted, now)
    if moved.md5 != wanted.md5:
        return drifted(execution, wanted, moved)
    already = now and now.md5 == wanted.md5
    return f"{wanted} is {ALIAS}{'' if already else ' now'}, in {execution.meta['promotes']} and at {connection.url}"


def fill_in(
    pipeline: Pipeline, execution: Execution, connection: RegistryConnection, unfinished: bool = False
) -> str | None:
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
    if unfinished and may_leave(pipeline, execution, connection, wanted, now, decided=False):
        now = move(connection, execution, wanted, now)
    if now.md5 == wanted.md5:
        return f"{wanted} is {ALIAS} now: a promotion that had stopped before the registry knew is complete"
    return drifted(execution, wanted, now)


def drifted(execution: Execution, wanted: RecordedModel, now: AliasHolder | None) -> str:
    """That the two sides differ, and the two ways out."""
    return (
        f"{execution.meta['promotes']} names {wanted.md5[:8]}, but in the registry {now or 'nothing'} is {ALIAS} of "
        f"{wanted.registered_model}: `make promote` makes the registry follow git, `make promote FROM=registry` makes "
        "git follow the registry"
    )


def _branch(root: Path) -> str | None:
    return git.output_or_none(root, "symbolic-ref", "--short", "-q", "HEAD") or None
