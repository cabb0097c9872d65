"""The sweeps of a project, and the page of one: its parameters and results, runs, agents and configuration."""

import json
from typing import Any

import yaml

from wandb_registry.errors import NotFound
from wandb_registry.model import access
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import lineage
from wandb_registry.model.runs import runs
from wandb_registry.model.search import run_search
from wandb_registry.model.sweeps import search_space, sweeps
from wandb_registry.model.sweeps.search_space import SearchSpace
from wandb_registry.web import addresses, lookups
from wandb_registry.web.pager import Beginning, paginate
from wandb_registry.web.pages import questions
from wandb_registry.web.pages.questions import Question
from wandb_registry.web.pages.runs import facts_of_run
from wandb_registry.web.sweeps import charts
from wandb_registry.web.sweeps.charts import Column
from wandb_registry.web.views import Page, PageRequest, Redirect

Row = dict[str, Any]
SWEEPS, ROWS = 50, 20  # on a page
MOST_RUNS = 500  # that a page of a sweep draws
ENDED = {"finished", "failed", "crashed", "killed"}
QUESTIONS = ("stop", "cancel")


def list_page(request: PageRequest) -> Page:
    """A project's sweeps, newest first."""
    project = lookups.find_project(request)
    pager = paginate(request, sweeps.count(request.db, project), SWEEPS)
    rows = [
        row
        | {
            "space": search_space.read(row["config"]),
            "best": sweeps.best(request.db, row),
            "count": sweeps.run_count(request.db, row),
            "address": address(project, row),
        }
        for row in sweeps.page(request.db, project, pager.size, pager.offset)
    ]
    shown = {"title": f"Sweeps of {project['name']}", "project": project, "sweeps": rows, "pager": pager}
    return Page("sweeps.html", shown | {"counts": lookups.project_counts(request, project)})


def address(project: Row, sweep: Row) -> str:
    return addresses.join(project["entity_name"], project["name"], "sweeps", sweep["name"])


def find(request: PageRequest) -> tuple[Row, Row]:
    """The project and the sweep of the address. Raises NotFound."""
    project, name = lookups.find_project(request), request.path["sweep"]
    sweep = sweeps.find(request.db, project, name)
    if sweep is None:
        newest = [row["name"] for row in sweeps.page(request.db, project, SWEEPS, 0)]
        there = lookups.alternatives(newest, sweeps.count(request.db, project))
        raise NotFound(f"'{project['name']}' has no sweep '{name}'.{there}")
    return project, sweep


def page(request: PageRequest) -> Page | Redirect:
    """The page of a sweep."""
    project, sweep = find(request)
    space, base = search_space.read(sweep["config"]), address(project, sweep)
    name = sweep["display_name"] or sweep["name"]
    if typed := _typed_range(request):
        return typed
    if what := questions.asked(request, QUESTIONS):
        return questions.page(request, project, _question(name, what), base, [(name, base)], "projects")
    total = sweeps.run_count(request.db, sweep)
    skipped = max(0, total - MOST_RUNS)
    rows = [_shown(row) for row in lookups.visible_runs(request, sweeps.runs(request.db, sweep, MOST_RUNS, skipped))]
    metric = space.config.get("metric") or {}
    better = 1 if metric.get("goal") == "maximize" else -1
    parameters, result = _columns(space, rows, metric.get("name"))
    columns = [*parameters, *([result] if result else [])]
    chosen = charts.ranges(request, columns)
    inside = [row for row in range(len(rows)) if all(one.holds(row) for one in chosen)]
    ordered = sorted(inside, key=lambda row: _rank(result, row, better))
    pager = paginate(request, len(ordered), ROWS)
    ended = [at for at, row in enumerate(rows) if row["state"] in ENDED]
    going_on = json.dumps({"sweep": sweep["name"], "state": {"$in": list(runs.UNDER_WAY)}})
    under_way = run_search.count(request.db, project["id"], going_on)
    has_results = result is not None and any(map(charts.is_finite, result.values))
    return Page(
        "sweep.html",
        {
            "title": name,
            "project": project,
            "sweep": sweep,
            "address": base,
            "space": space,
            "by": users.by_id(request.db, sweep["user_id"])["username"] if sweep["user_id"] else None,
            "may_change": access.project_role(request.db, request.viewer, project) >= Role.MEMBER,
            "metric": metric.get("name"),
            "goal": metric.get("goal") or "minimize",
            "total": total,
            "drawn": Beginning(len(rows), total, addresses.with_query(_table(project), {"sweep": sweep["name"]})),
            "under_way": under_way,
            "best": _best(request, sweep, rows),
            "parameters": parameters,
            "result": result,
            "chosen": [(one, charts.without(request, one)) for one in chosen],
            "inside": len(inside),
            "parallel": charts.parallel(rows, columns, better, chosen) if rows and has_results else None,
            "matters": charts.matters(parameters, result, ended) if result else None,
            "best_so_far": charts.best_so_far(rows, result, better) if result else None,
            "rows": [(skipped + row + 1, rows[row], [column.values[row] for column in columns]) for row in
                     ordered[pager.offset : pager.last]],
            "pager": pager,
            "agents": [_agent(request, project, agent) for agent in sweeps.agents(request.db, sweep)],
            "config": yaml.safe_dump(space.config, sort_keys=False, allow_unicode=True),
            "command": f"wandb agent {project['entity_name']}/{project['name']}/{sweep['name']}",
            "kept": [(key, value) for key, value in request.query.multi_items() if key in ("range", "only")],
            "live": sweep["state"] == "RUNNING" or under_way > 0,
        },
    )  # fmt: skip


def _shown(run: Row) -> Row:
    return run | {"state": runs.state(run), "seconds": runs.seconds(run), "facts": facts_of_run(run)}


def _best(request: PageRequest, sweep: Row, rows: list[Row]) -> Row | None:
    """The run with the best result, also if it isn't among the `rows` that the page draws."""
    found = sweeps.best_run(request.db, sweep)
    if found is None:
        return None
    drawn = next((row for row in rows if row["id"] == found[0]), None)
    return drawn or next(map(_shown, lookups.visible_runs(request, lineage.runs_by_id(request.db, [found[0]]))), None)


def _typed_range(request: PageRequest) -> Redirect | None:
    """Leads a range that somebody typed into the form to the address that names it."""
    column, low, high = (request.query.get(key, "").strip() for key in ("axis", "from", "to"))
    if not column:
        return None
    kept = [text for text in request.query.getlist("range") if text.split(" ", 2)[-1] != column]
    query = {"range": [*kept, f"{low} {high} {column}"], "only": request.query.getlist("only")}
    return Redirect(addresses.with_query(request.address.partition("?")[0], query))


def _columns(space: SearchSpace, rows: list[Row], metric: str | None) -> tuple[list[Column], Column | None]:
    """The parameters that a sweep varies, and its result; each with the values of these runs."""
    parameters = [
        Column(".".join(path), [row["facts"].get(f"config.{'.'.join(path)}") for row in rows], _is_log(space, path))
        for path in space.parameters
    ]
    result = Column(metric, [row["facts"].get(f"summary.{metric}") for row in rows]) if metric else None
    return parameters, result


def _is_log(space: SearchSpace, path: tuple[str, ...]) -> bool:
    spec: Any = {"parameters": space.config["parameters"]}
    for name in path:
        spec = spec["parameters"][name]
    return "log" in str(spec.get("distribution", ""))


def _rank(result: Column | None, row: int, better: int) -> tuple[bool, float]:
    """Runs with a result come first, the best before the others."""
    value: Any = result.values[row] if result else None
    return (False, -better * value) if charts.is_finite(value) else (True, 0)


def _agent(request: PageRequest, project: Row, agent: Row) -> Row:
    newest = next(iter(sweeps.agent_runs(request.db, agent, 1, 0, newest_first=True)), None)
    works_on = (
        newest | {"address": addresses.run(project["entity_name"], project["name"], newest["name"])} if newest else None
    )
    state = sweeps.agent_state(agent).lower()
    return agent | {"state": state, "count": sweeps.agent_run_count(request.db, agent), "works_on": works_on}


def _question(name: str, what: str) -> Question:
    if what == "stop":
        facts = ["Runs that are under way go to their ends.", "No agent gets another run."]
        return Question(what, f"Stop {name}?", "Stop sweep", facts, [])
    facts = ["Agents are told to end the run that they are at, and to leave.", "What the runs logged stays."]
    return Question(
        what, f"Cancel {name}?", "Cancel sweep", facts, ["Runs under way are killed. This can't be undone."]
    )


def _table(project: Row) -> str:
    return addresses.join(project["entity_name"], project["name"], "runs")
