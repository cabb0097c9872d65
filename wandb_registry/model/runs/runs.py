"""Runs: what `wandb.init` makes and `wandb.Api().runs` finds."""

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Conflict, NotFound
from wandb_registry.model import access, activity_log, names, projects
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.accounts import members
from wandb_registry.model.artifacts import artifacts, lineage, memberships
from wandb_registry.model.runs import edits

Row = dict[str, Any]
CRASHED_AFTER_SECONDS = 300  # without a heartbeat, after which a running run counts as crashed
STATES = {"running", "pending", "finished", "failed", "crashed", "killed", "preempting", "preempted"}
JSON_OBJECTS = ("config", "summary")
FEATURES, OFFLINE = "3", 4  # numbers in the SDK's telemetry

# Which column an input of upsertBucket sets. Absent and null both mean: leave it as it is.
COLUMNS = {
    "display_name": "display_name",
    "description": "description",
    "notes": "notes",
    "config": "config",
    "summary_metrics": "summary",
    "group_name": "group_name",
    "job_type": "job_type",
    "commit": "git_commit",
    "job_repo": "repo",
    "host": "host",
    "job_program": "program",
    "state": "state",
}

UPDATE = """
update run
   set display_name = coalesce(:display_name, display_name),
       description = coalesce(:description, description),
       notes = coalesce(:notes, notes),
       config = coalesce(:config, config),
       summary = coalesce(:summary, summary),
       group_name = nullif(coalesce(:group_name, group_name), ''),
       job_type = coalesce(:job_type, job_type),
       git_commit = coalesce(:git_commit, git_commit),
       repo = coalesce(:repo, repo),
       host = coalesce(:host, host),
       program = coalesce(:program, program),
       state = coalesce(:state, state),
       sweep_id = coalesce(:sweep_id, sweep_id),
       tags = coalesce(:tags, tags),
       updated_at = strftime('%Y-%m-%dT%H:%M:%SZ')
 where id = :id
returning *
"""


def upsert(db: Connection, viewer: Viewer, number: int | None, given: dict[str, Any]) -> tuple[Row, bool]:
    """Makes or changes a run, by its id or by entity, project and name. Returns it and whether it is new.

    `given` is the input of the mutation upsertBucket. Raises BadInput, NotFound, Forbidden.
    """
    inserted = False
    if number is not None:
        run = access.run_by_id(db, viewer, number, Role.MEMBER)
    else:
        project = projects.ensure(db, viewer, given.get("entity_name"), given.get("model_name"))
        name = names.run(given.get("name") or secrets.token_hex(4))
        run = access.find_run(db, project, name)
        if run is None:
            inserted = True
            run = _insert(db, viewer, project, name, given)
    changed = db.row(UPDATE, id=run["id"], sweep_id=_sweep(db, run, given.get("sweep")), **_values(given))
    own_process = number is None and announced(given)  # the public API names a run by its id
    if not inserted and not own_process:
        edits.record(db, viewer, run, changed)
    return changed, inserted


def _insert(db: Connection, viewer: Viewer, project: Row, name: str, given: dict[str, Any]) -> Row:
    return db.row(
        """
        insert into run (project_id, name, display_name, user_id)
        values (:project, :name, :display_name, :user)
        returning *
        """,
        project=project["id"],
        name=name,
        display_name=given.get("display_name") or _pleasant_name(),
        user=viewer.user_id,
    )


def _sweep(db: Connection, run: Row, name: str | None) -> int | None:
    """The id of the sweep of this name in the run's project. Raises NotFound."""
    if not name:
        return None
    sweep_id = db.value(
        "select id from sweep where project_id = :project and name = :name", project=run["project_id"], name=name
    )
    if sweep_id is None:
        raise NotFound(f"Sweep '{name}' was not found in the run's project.")
    return sweep_id


def _values(given: dict[str, Any]) -> dict[str, Any]:
    values = {column: given.get(key) for key, column in COLUMNS.items()}
    for column in JSON_OBJECTS:
        text = values[column]
        if text is not None and not isinstance(loads(text), dict):
            raise BadInput(f"The {column} of a run is a JSON object.")
    if values["state"] is not None and values["state"] not in STATES:
        raise BadInput(f"'{values['state']}' is not a state of a run. Use one of: {', '.join(sorted(STATES))}.")
    for what in ("group_name", "job_type"):
        if "\0" in (values[what] or ""):
            raise BadInput(f"The {what.replace('_', ' ')} of a run can't hold the character NUL.")
    tags = given.get("tags")
    for tag in tags or []:
        tag.encode()  # half a character can't be kept
    return values | {"tags": None if tags is None else json.dumps(tags)}


def _pleasant_name() -> str:
    """A display name such as calm-river-512, for a run that has none."""
    return f"{secrets.choice(FIRST_WORDS)}-{secrets.choice(SECOND_WORDS)}-{secrets.randbelow(900) + 100}"


FIRST_WORDS = (
    "amber",
    "brisk",
    "calm",
    "clear",
    "early",
    "fresh",
    "gentle",
    "golden",
    "quiet",
    "silver",
    "steady",
    "warm",
)
SECOND_WORDS = (
    "birch",
    "brook",
    "cedar",
    "cloud",
    "field",
    "harbor",
    "lake",
    "maple",
    "meadow",
    "river",
    "stone",
    "wind",
)


# ---- reading ----


def named(db: Connection, project_id: int, names: list[str]) -> list[Row]:
    """A project's runs of these names, as far as there are such."""
    sql = "select * from run where project_id = :project and name in (select value from json_each(:names))"
    return db.all(sql, project=project_id, names=json.dumps(names))


def loads(text: str) -> Any:
    """Parses JSON as the SDK writes it, with bare NaN. Raises BadInput for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput(f"This is not JSON: {text[:80]}") from None


def internal_config(run: Row, keys: list[str] | None) -> dict[str, Any]:
    """The SDK's own entries in a config, under `_wandb`; only `keys` if given. By `t` the SDK knows a started run."""
    kept = loads(run["config"]).get("_wandb", {}).get("value", {})
    return {key: value for key, value in kept.items() if keys is None or key in keys}


def announced(given: dict[str, Any]) -> dict[str, Any]:
    """What the SDK's process says of itself in a config that it sends; nothing if none does."""
    config = loads(given.get("config") or "{}")
    entry = config.get("_wandb") if isinstance(config, dict) else None
    value = entry.get("value") if isinstance(entry, dict) else None
    return value if isinstance(value, dict) else {}


def is_offline(internal: dict[str, Any]) -> bool:
    """Whether a run logged offline, and is synced afterwards: by the SDK's list of features that it used."""
    telemetry = internal.get("t")
    features = telemetry.get(FEATURES) if isinstance(telemetry, dict) else None
    return isinstance(features, list) and OFFLINE in features


# ---- states ----


UNDER_WAY = ("running", "pending", "preempting")
SILENT = {"running": "crashed", "preempting": "preempted"}
MOVES = {  # a state that a user may set, and from which states
    "pending": {"running", "failed", "crashed", "preempted"},
    "failed": {"pending", "running"},
}


def state(run: Row) -> str:
    """The state now. A running run without a heartbeat for CRASHED_AFTER_SECONDS has crashed."""
    if run["state"] not in SILENT:
        return run["state"]
    silent = datetime.now(UTC) - datetime.fromisoformat(run["heartbeat_at"])
    return SILENT[run["state"]] if silent.total_seconds() > CRASHED_AFTER_SECONDS else run["state"]


def seconds(run: Row) -> float:
    """How long a run has run: from its creation to its last heartbeat, in seconds."""
    ends = [datetime.fromisoformat(run[name]) for name in ("created_at", "heartbeat_at")]
    return max(0.0, (ends[1] - ends[0]).total_seconds())


def change_state(db: Connection, run: Row, wanted: str) -> None:
    """Sets a run's state at a user's request. Raises BadInput for a change that MOVES lacks."""
    now = state(run)
    if now not in MOVES.get(wanted, set()):
        raise BadInput(f"'{now}' to '{wanted}' is an invalid state transition for a run.")
    db.execute("update run set state = :state where id = :id", {"state": wanted, "id": run["id"]})


def ask_to_stop(db: Connection, viewer: Viewer, run: Row) -> None:
    """Lets the response to the run's next file_stream request tell it to stop."""
    db.execute("update run set stop_asked = 1 where id = :id", {"id": run["id"]})
    activity_log.record(db, viewer, "stop run", edits.path(db, run), None, None, None)


MOVED = """
update run set project_id = :project, updated_at = strftime('%Y-%m-%dT%H:%M:%SZ') where id = :id returning *
"""


def refuse_under_way(db: Connection, viewer: Viewer, entity: str, project: str) -> None:
    """Raises Conflict if a run of a project is under way. Its process knows the project by the name that it has."""
    found = access.project(db, viewer, entity, project, Role.ADMIN)
    for run in db.all("select * from run where project_id = :project", project=found["id"]):
        if state(run) in UNDER_WAY:
            raise Conflict(
                f"Run '{run['name']}' of '{entity}/{project}' is still under way: its process would not find the "
                "project again. Rename it when the run has ended."
            )


def move(db: Connection, viewer: Viewer, run: Row, project: Row) -> Row:
    """Moves a run with its history and files into another project. What it logged as artifacts stays where it is.

    The caller has checked that the viewer may change both. Raises BadInput and Conflict where it would be lost.
    """
    where = members.path(project)
    if run["project_id"] == project["id"]:
        raise BadInput(f"The run is in '{where}' already.")
    if state(run) in UNDER_WAY:
        raise Conflict("The run is still under way: its process would not find it again. Move it when it has ended.")
    if run["sweep_id"]:
        raise Conflict("The run belongs to a sweep of its project, so it can't be moved.")
    if access.find_run(db, project, run["name"]):
        raise Conflict(f"'{where}' has a run with the id '{run['name']}' already.")
    before, moved = edits.path(db, run), db.row(MOVED, project=project["id"], id=run["id"])
    activity_log.record(db, viewer, edits.MOVE, edits.path(db, moved), None, before, edits.path(db, moved))
    return moved


def delete(db: Connection, viewer: Viewer, number: int, with_artifacts: bool) -> None:
    """Deletes a run and what it streamed; with `with_artifacts` also the versions that it was the first to log.

    Deleting a run again changes nothing. Raises Conflict if such a version is in production.
    """
    deleted_run = db.one("select * from deleted_run where id = :id", id=number)
    if deleted_run:
        access.project_by_id(db, viewer, deleted_run["project_id"], Role.MEMBER)
        return
    run = access.run_by_id(db, viewer, number, Role.MEMBER)
    if with_artifacts:
        for artifact in lineage.outputs(db, run["id"]):
            if artifact["run_id"] == run["id"]:
                memberships.refuse_in_production(db, artifact["id"])
                artifacts.delete(
                    db, viewer, access.artifact(db, viewer, artifact["id"], Role.MEMBER), with_aliases=True
                )
    activity_log.record(db, viewer, "delete run", edits.path(db, run), None, None, None)
    db.execute("delete from run where id = :id", {"id": run["id"]})
    db.execute(
        "insert into deleted_run (id, project_id) values (:id, :project)",
        {"id": run["id"], "project": run["project_id"]},
    )
