"""Keeps the alias `production` of a registered model where the record in git has it.

The record (production.json) is an output of a stage that names it in `meta.wandb.promotes`. Git decides: the
alias moves when that stage runs on one of the branches in the parameter that `meta.wandb.branches` names, or when a
person asks; an experiment or another branch records its decision and leaves the alias alone.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lineage.connection import Connection
from lineage.errors import LineageError
from lineage.pipeline import Execution, Pipeline, setting

ALIAS = "production"


@dataclass(frozen=True)
class Production:
    """What the record says is in production: a model by its md5, in a registered model."""

    registered_model: str
    md5: str

    @property
    def version(self) -> str:
        return f"{self.registered_model}:dvc-{self.md5}"


def recorded(pipeline: Pipeline, execution: Execution) -> Production | None:
    """The record that `execution` keeps; None where it keeps none, or where nothing is in production."""
    path = execution.meta.get("promotes")
    if not path:
        return None
    try:
        record = json.loads(pipeline.at_hand(execution.out(path)).read_text())
        return Production(record["registered_model"], record["model_md5"]) if record["model_md5"] else None
    except (OSError, ValueError, KeyError, TypeError):
        raise LineageError(
            f"{path} is no record of what is in production. `git checkout {path}` restores it."
        ) from None


def why_not_here(pipeline: Pipeline, execution: Execution) -> str | None:
    """Why a run here may not move the alias; None where it may."""
    if os.environ.get("DVC_EXP_NAME") or os.environ.get("DVC_EXP_BASELINE_REV"):
        return f"this is the experiment {os.environ.get('DVC_EXP_NAME', '')}".rstrip()
    name = execution.meta.get("branches", "")
    branches = setting(pipeline.root, name)
    if not isinstance(branches, list) or not all(isinstance(one, str) for one in branches):
        raise LineageError(f"params.yaml: {name} is {branches!r}; it must be a list of branches, such as [main].")
    branch = _branch(pipeline.root)
    if branch not in branches:
        here = f"the branch {branch}" if branch else "a checkout without a branch"
        return f"this is {here}, not {' or '.join(branches) or 'one that promotes'}"
    return None


def holder(production: Production) -> str | None:
    """The md5 of the model that holds the alias in the registry now; "" for one that DVC doesn't know."""
    import wandb

    name = f"{production.registered_model}:{ALIAS}"
    api = wandb.Api()
    if not api.artifact_exists(name):
        return None
    aliases = api.artifact(name).aliases
    return next((alias.removeprefix("dvc-") for alias in aliases if alias.startswith("dvc-")), "")


def move(production: Production) -> bool:
    """Put the alias on the recorded version; False where it was there already.

    Raises LineageError where the registry doesn't hold that version.
    """
    import wandb

    api = wandb.Api()
    if not api.artifact_exists(production.version):
        raise LineageError(
            f"the registry has no version of {production.registered_model} with the bytes that are in production "
            f"({production.md5}); the alias '{ALIAS}' stays where it is."
        )
    version = api.artifact(production.version)
    if ALIAS in version.aliases:
        return False
    version.aliases.append(ALIAS)
    version.save()
    return True


def follow(pipeline: Pipeline, execution: Execution, connection: Connection, asked: bool = False) -> str | None:
    """Make the registry agree with the record where that is allowed; one sentence on what came of it.

    `asked` is a person's wish, which no branch and no experiment stands against.
    """
    production = recorded(pipeline, execution)
    if production is None:
        return "nothing is in production" if execution.meta.get("promotes") else None
    model = f"{production.registered_model} {production.md5[:8]}"
    if not asked and (reason := why_not_here(pipeline, execution)):
        return f"the record names {model}; the alias '{ALIAS}' stays where it is: {reason}"
    moved = move(production)
    return f"{model} is {ALIAS}{' now' if moved else ''}, in {execution.meta['promotes']} and at {connection.url}"


def fill_in(pipeline: Pipeline, execution: Execution, connection: Connection) -> str | None:
    """Set the alias where no version holds it; a sentence where another version than the recorded one does.

    That may be a person's click, so it is reported and left: `promote` decides.
    """
    production = recorded(pipeline, execution)
    if production is None or why_not_here(pipeline, execution):
        return None
    held = holder(production)
    if held is None:
        return follow(pipeline, execution, connection)
    if held != production.md5:
        return (
            f"{execution.meta['promotes']} names {production.md5[:8]}, but in the registry "
            f"{held[:8] or 'another model'} is {ALIAS} of {production.registered_model}: "
            "`make promote` makes the registry follow git."
        )
    return None


def _branch(root: Path) -> str | None:
    done = subprocess.run(
        ["git", "symbolic-ref", "--short", "-q", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None
