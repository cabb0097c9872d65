"""Metrics of a version: from its evaluation, else from another run that used it, else from the run that made it."""

import json
from dataclasses import dataclass
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.model import access
from wandb_registry.model.access import Viewer
from wandb_registry.model.nested_keys import leaves

Row = dict[str, Any]
HUGE = 1e300  # larger numbers are no measurements, and JSON integers of this size may not fit a float
PREFERRED = ("accuracy", "loss")
OWN = ("_", "system/")  # summary keys of the SDK itself

MEASURED = """
select *
  from (select run.id, run.project_id, run.name, run.display_name, run.job_type, run.summary, run.config,
               run_input.artifact_id,
               row_number() over (
                 partition by run_input.artifact_id
                 order by coalesce(run.job_type, '') like '%eval%' desc, run.id desc
               ) as turn
          from run_input
          join run on run.id = run_input.run_id
         where run_input.artifact_id in (select value from json_each(:artifacts))) as used
 where turn <= 5
 order by artifact_id, turn
"""
MADE = """
select run.id, run.project_id, run.name, run.display_name, run.job_type, run.summary, run.config, run.git_commit,
       artifact.id as artifact_id
  from artifact
  join run on run.id = artifact.run_id
 where artifact.id in (select value from json_each(:artifacts))
"""
JOINT_EVALUATION = """
select *
  from run
 where project_id = :project and instr(summary, :one) > 0 and instr(summary, :other) > 0
 order by id desc
 limit 1
"""


@dataclass(frozen=True)
class VersionMetrics:
    """Numbers by name, and the run that logged them."""

    metrics: dict[str, float]
    run: Row | None


NO_METRICS = VersionMetrics({}, None)


def makers(db: Connection, viewer: Viewer, artifact_ids: list[int]) -> dict[int, Row]:
    """The run that made each version, where the viewer may see it."""
    rows = access.visible(db, viewer, db.all(MADE, artifacts=json.dumps(artifact_ids)))
    return {row["artifact_id"]: row for row in rows}


def of_versions(db: Connection, viewer: Viewer, artifact_ids: list[int]) -> dict[int, VersionMetrics]:
    """The metrics of each version that has any."""
    used = access.visible(db, viewer, db.all(MEASURED, artifacts=json.dumps(artifact_ids)))
    measured: dict[int, VersionMetrics] = {}
    for row in [*used, *makers(db, viewer, artifact_ids).values()]:
        if row["artifact_id"] not in measured and (metrics := numbers(row["summary"])):
            measured[row["artifact_id"]] = VersionMetrics(metrics, row)
    return measured


def numbers(summary: str) -> dict[str, float]:
    """The numbers in a run's summary, without those that the SDK adds itself."""
    return {
        key: value
        for key, value in json.loads(summary).items()
        if not key.startswith(OWN) and _is_number(value) and -HUGE < value < HUGE
    }


def parameters(config: str) -> dict[str, Any]:
    """A run's config as dotted names, without what the SDK and DVC add to it."""
    values = {key: entry.get("value") for key, entry in json.loads(config).items() if isinstance(entry, dict)}
    return dict(leaves({key: value for key, value in values.items() if key not in ("_wandb", "dvc")}))


def joint_evaluation(db: Connection, project_id: int, md5s: list[str]) -> Row | None:
    """The newest run of a project that compared two contents: its summary names both md5s."""
    return db.one(JOINT_EVALUATION, project=project_id, one=md5s[0], other=md5s[1])


def rank(name: str) -> int:
    """A sort key that puts the usual metrics first, whatever folder their name begins with."""
    last = name.lower().rsplit("/", 1)[-1]
    return PREFERRED.index(last) if last in PREFERRED else len(PREFERRED)


def smaller_is_better(name: str) -> bool:
    """Whether a metric of this name is a loss or an error."""
    return any(word in name.lower() for word in ("loss", "error", "rmse", "mae", "mse", "perplexity", "time"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
