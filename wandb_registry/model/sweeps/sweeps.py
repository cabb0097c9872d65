"""Sweeps: `wandb.sweep` makes one, and agents ask for the parameters of their next run.

The commands for agents are those that the SDK's wandb/wandb_agent.py reads.
"""

import json
import math
import secrets
from datetime import UTC, datetime
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, activity_log, projects
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.accounts import members
from wandb_registry.model.nested_keys import within
from wandb_registry.model.sweeps import search_space
from wandb_registry.model.sweeps.search_space import SearchSpace

Row = dict[str, Any]
SET_STATE = "sweep"
CANCELED = "CANCELED"
STATES = ("RUNNING", "PAUSED", "FINISHED", CANCELED)
SILENT_SECONDS = 60  # after which an agent counts as finished; it sends a heartbeat every few seconds

UPDATE = """
update sweep
   set config = coalesce(:config, config),
       description = coalesce(:description, description),
       display_name = coalesce(:display_name, display_name),
       state = coalesce(:state, state),
       updated_at = strftime('%Y-%m-%dT%H:%M:%SZ')
 where id = :id
returning *
"""


def upsert(db: Connection, viewer: Viewer, number: int | None, given: dict[str, Any]) -> Row:
    """Makes a sweep, or changes the one of this id. `given` is the input of the mutation. Raises BadInput, NotFound."""
    config, state = given.get("config"), given.get("state")
    if state is not None and state not in STATES:
        raise BadInput(f"'{state}' is not a state of a sweep. Use one of: {', '.join(STATES)}.")
    space = search_space.read(config) if config is not None else None
    if number is not None:
        sweep = by_id(db, viewer, number, Role.MEMBER)
    elif space is not None:
        sweep = _insert(db, viewer, given, space)
    else:
        raise BadInput("A new sweep needs a configuration.")
    if state is not None and state != sweep["state"]:
        path = members.path(projects.by_id(db, sweep["project_id"]))
        activity_log.record(db, viewer, SET_STATE, path, sweep["name"], sweep["state"], state)
    values = {key: given.get(key) for key in ("config", "description", "display_name", "state")}
    return db.row(UPDATE, id=sweep["id"], **values)


def _insert(db: Connection, viewer: Viewer, given: dict[str, Any], space: SearchSpace) -> Row:
    project = projects.ensure(db, viewer, given.get("entity_name"), given.get("project_name"))
    return db.row(
        """
        insert into sweep (project_id, name, display_name, config, user_id)
        values (:project, :name, :display_name, :config, :user)
        returning *
        """,
        project=project["id"],
        name=secrets.token_hex(4),
        display_name=space.config.get("name"),
        config=given["config"],
        user=viewer.user_id,
    )


# ---- reading ----


def find(db: Connection, project: Row, name: str) -> Row | None:
    """The sweep of this name. The caller has checked that the viewer may read the project."""
    return db.one("select * from sweep where project_id = :project and name = :name", project=project["id"], name=name)


def by_id(db: Connection, viewer: Viewer, number: int, need: Role) -> Row:
    sweep = db.one("select * from sweep where id = :id", id=number)
    if sweep is None or not access.readable(db, viewer, sweep["project_id"]):
        raise _not_found(viewer)
    access.project_by_id(db, viewer, sweep["project_id"], need)
    return sweep


def _not_found(viewer: Viewer) -> NotFound:
    return NotFound(f"The sweep was not found, or '{viewer.username}' may not see it.")


def page(db: Connection, project: Row, limit: int, offset: int) -> list[Row]:
    """A project's sweeps, newest first."""
    return db.all(
        "select * from sweep where project_id = :project order by id desc limit :limit offset :offset",
        project=project["id"],
        limit=limit,
        offset=offset,
    )


def count(db: Connection, project: Row) -> int:
    return db.value("select count(*) from sweep where project_id = :project", project=project["id"])


def name_of(db: Connection, run: Row) -> str | None:
    """The name of the sweep that a run belongs to."""
    return db.value("select name from sweep where id = :id", id=run["sweep_id"]) if run["sweep_id"] else None


def best(db: Connection, sweep: Row) -> float | None:
    """The best value of the sweep's metric in the summaries of its runs; None if no run has one."""
    found = best_run(db, sweep)
    return found[1] if found else None


def best_run(db: Connection, sweep: Row) -> tuple[int, float] | None:
    """The id of the run with the best value of the sweep's metric, and that value; None if no run has one."""
    metric = search_space.read(sweep["config"]).config.get("metric") or {}
    rows = db.all("select id, summary from run where sweep_id = :sweep order by id", sweep=sweep["id"])
    values = [(row["id"], within(json.loads(row["summary"]), metric.get("name") or "")) for row in rows]
    numbers = [
        (number, value)
        for number, value in values
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]
    choose = max if metric.get("goal") == "maximize" else min
    return choose(numbers, key=lambda found: found[1], default=None)


def runs(db: Connection, sweep: Row, limit: int, offset: int) -> list[Row]:
    """The sweep's runs, oldest first."""
    return db.all(
        "select * from run where sweep_id = :sweep order by id limit :limit offset :offset",
        sweep=sweep["id"],
        limit=limit,
        offset=offset,
    )


def run_count(db: Connection, sweep: Row) -> int:
    return db.value("select count(*) from run where sweep_id = :sweep", sweep=sweep["id"])


# ---- agents ----


def add_agent(db: Connection, viewer: Viewer, given: dict[str, Any]) -> Row:
    """Registers an agent: a process that will run trials of a sweep. Raises NotFound."""
    project = access.project(db, viewer, given.get("entity_name"), given.get("project_name"), Role.MEMBER)
    sweep = find(db, project, given["sweep"])
    if sweep is None:
        raise NotFound(f"Sweep '{given['sweep']}' was not found in '{project['entity_name']}/{project['name']}'.")
    return db.row(
        "insert into agent (sweep_id, host) values (:sweep, :host) returning *", sweep=sweep["id"], host=given["host"]
    )


def agents(db: Connection, sweep: Row) -> list[Row]:
    return db.all("select * from agent where sweep_id = :sweep order by id", sweep=sweep["id"])


def agent_state(agent: Row) -> str:
    silent = datetime.now(UTC) - datetime.fromisoformat(agent["heartbeat_at"])
    return "FINISHED" if silent.total_seconds() > SILENT_SECONDS else "RUNNING"


AGENTS_RUNS = """
select run.*
  from trial
  join run on run.sweep_id = trial.sweep_id and run.name = trial.run_name
 where trial.agent_id = :agent
 order by iif(:newest_first, -trial.number, trial.number)
 limit :limit offset :offset
"""


def agent_runs(db: Connection, agent: Row, limit: int, offset: int, newest_first: bool = False) -> list[Row]:
    """The runs that an agent has started, oldest first unless asked otherwise."""
    return db.all(AGENTS_RUNS, agent=agent["id"], limit=limit, offset=offset, newest_first=newest_first)


def agent_run_count(db: Connection, agent: Row) -> int:
    return db.value(
        f"select count(*) from ({AGENTS_RUNS}) as started", agent=agent["id"], limit=-1, offset=0, newest_first=False
    )


HEARTBEAT = "update agent set heartbeat_at = strftime('%Y-%m-%dT%H:%M:%SZ') where id = :id returning *"


def heartbeat(db: Connection, viewer: Viewer, number: int, busy: bool) -> tuple[Row, list[dict[str, Any]]]:
    """Records that an agent is alive. Returns it and its next commands: no new run while it is busy."""
    agent = db.one(HEARTBEAT, id=number)
    if agent is None:
        raise _not_found(viewer)
    sweep = by_id(db, viewer, agent["sweep_id"], Role.MEMBER)
    if sweep["state"] == CANCELED:
        return agent, [{"type": "exit"}]
    if busy or sweep["state"] == "PAUSED":
        return agent, []
    trial = _next_trial(db, sweep, agent) if sweep["state"] == "RUNNING" else None
    return agent, [trial or {"type": "exit"}]


def _next_trial(db: Connection, sweep: Row, agent: Row) -> dict[str, Any] | None:
    """Records the sweep's next trial and returns the command that starts it. After the last, finishes the sweep."""
    space = search_space.read(sweep["config"])
    number = db.value("select count(*) from trial where sweep_id = :sweep", sweep=sweep["id"])
    if space.trials is not None and number >= space.trials:
        db.execute("update sweep set state = 'FINISHED' where id = :id", {"id": sweep["id"]})
        return None
    name = secrets.token_hex(4)
    db.execute(
        "insert into trial (sweep_id, number, agent_id, run_name) values (:sweep, :number, :agent, :name)",
        {"sweep": sweep["id"], "number": number, "agent": agent["id"], "name": name},
    )
    return {
        "type": "run",
        "run_id": name,
        "program": space.config.get("program"),
        "args": {key: {"value": value} for key, value in space.values(number).items()},
    }
