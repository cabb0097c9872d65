"""A project's runs as a table. The address holds its columns, filters and order."""

import json
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import runs, version_metrics
from wandb_registry.model.search import run_search
from wandb_registry.model.sweeps import sweeps
from wandb_registry.web import addresses, alerts, formats, lookups
from wandb_registry.web.finding import conditions, saved_views
from wandb_registry.web.pager import paginate
from wandb_registry.web.views import Page, PageRequest, Redirect

Row = dict[str, Any]
ROWS = 50  # on a page
MOST_COLUMNS = 100  # to choose from
FIRST_COLUMNS = 5  # that are shown before somebody chooses
RUNNING = json.dumps({"state": "running"})
FIXED = {
    "name": "display_name", "state": "state", "job": "job_type", "group": "group_name", "commit": "commit",
    "started": "created_at",
}  # fmt: skip
GROUPED = {"group": "group", "job": "job type", "state": "state", "commit": "commit"}


@dataclass(frozen=True)
class RunsColumn:
    """A column of the table; `key` is its name in the address."""

    key: str
    label: str
    sort_address: str  # to which a click on its head leads
    order: str | None  # 'ascending' or 'descending' if the table is sorted by it
    numeric: bool = False


def runs_page(request: PageRequest) -> Page | Redirect:
    """A project's runs."""
    project = lookups.find_project(request)
    if view := saved_views.entered(request, project):
        return view
    problem, filters, found = None, None, []
    try:
        found = conditions.conditions(request)
        filters = conditions.filters(request, found)
        total = run_search.count(request.db, project["id"], filters)
    except BadInput as error:
        problem, filters = str(error), None
        total = run_search.count(request.db, project["id"], filters)
    pager = paginate(request, total, ROWS)
    by = request.query["by"] if request.query.get("by") in GROUPED else None
    order, group = _order(request), FIXED.get(by or "")
    rows = run_search.page(request.db, project["id"], filters, order, pager.size, pager.offset, group)
    shown = [_shown(row) for row in lookups.visible_runs(request, rows)]
    chosen = list(dict.fromkeys(request.query.getlist("column")))[:MOST_COLUMNS]
    offered = sorted({key for row in shown for key in row["facts"]}, key=_rank)[:MOST_COLUMNS]
    if "column" not in request.query and "columns" not in request.query:  # before somebody chooses: metrics
        chosen = [key for key in offered if _is_measured(key, shown)][:FIRST_COLUMNS]
    numeric = {key for key in chosen if _is_numeric(key, shown)}
    running = run_search.count(request.db, project["id"], RUNNING)
    return Page(
        "runs.html",
        {
            "title": project["name"],
            "project": project,
            "groups": _groups(request, project, filters, by, shown),
            "pager": pager,
            "any": total > 0 or bool(request.query),
            "counts": lookups.project_counts(request, project),
            **alerts.shown(request, project),
            "running": running,
            "live": running and any(row["state"] in runs.UNDER_WAY for row in shown),
            "with": request.query.get("with", ""),
            "names": [row["name"] for row in shown],
            "problem": problem,
            "fixed": [_column(request, key, "Job type" if key == "job" else key.capitalize()) for key in FIXED],
            "columns": [_column(request, key, key.partition(".")[2], key in numeric) for key in chosen],
            "offered": [(key, key in chosen) for key in [*offered, *(key for key in chosen if key not in offered)]],
            "find": {
                "menu": saved_views.menu(request, project),
                "conditions": found,
                "kept": conditions.kept(request, found),
                "kept_by_search": conditions.kept(request, found, "q", "by", "column", "columns"),
                "comparisons": conditions.COMPARISONS,
                "known": [*conditions.COLUMNS, *offered],
                "grouped": GROUPED,
                "by": by,
                "q": request.query.get("q", ""),
            },
            "compare": addresses.join(project["entity_name"], project["name"], "compare"),
            "clear": addresses.join(project["entity_name"], project["name"], "runs"),
        },
    )


def _groups(request: PageRequest, project: Row, filters: str | None, by: str | None, shown: list[Row]) -> list[Row]:
    """The rows of a page in groups with a head; one group without a head if the form asks for no groups."""
    if by is None or not shown:
        return [{"head": None, "runs": shown}]
    counts = run_search.tally(request.db, project["id"], filters, FIXED[by])
    field = "git_commit" if by == "commit" else FIXED[by]
    return [
        {"head": str(value or f"no {GROUPED[by]}"), "count": counts.get(value, 0), "runs": list(rows)}
        for value, rows in groupby(shown, key=lambda row: row[field])
    ]


def _is_numeric(key: str, shown: list[Row]) -> bool:
    return any(formats.is_number(row["facts"].get(key)) for row in shown)


def _is_measured(key: str, shown: list[Row]) -> bool:
    return key.startswith("summary.") and _is_numeric(key, shown)


def _rank(key: str) -> tuple:
    """A sort key for columns: results before parameters, the usual metrics before others, DVC's md5s last."""
    return key.startswith("config.dvc."), key.startswith("config."), version_metrics.rank(key.partition(".")[2]), key


def runs_of_sweep(request: PageRequest) -> Redirect:
    """Redirects the SDK's link to a sweep to the table of its runs. Raises NotFound."""
    project = lookups.find_project(request)
    name = request.path["sweep"]
    if sweeps.find(request.db, project, name) is None:
        raise NotFound(f"'{project['name']}' has no sweep '{name}'.")
    table = addresses.join(project["entity_name"], project["name"], "runs")
    return Redirect(addresses.with_query(table, {"sweep": name}))


def facts_of_run(row: Row) -> dict[str, Any]:
    """A run's config and summary by dotted names: config.train.epochs, summary.accuracy."""
    config = {key: entry.get("value") for key, entry in runs.loads(row["config"]).items() if isinstance(entry, dict)}
    config.pop("_wandb", None)
    summary = {key: value for key, value in runs.loads(row["summary"]).items() if not key.startswith("_")}
    values = [*leaves(config, "config."), *leaves(summary, "summary.")]
    return {key: value for key, value in values if not isinstance(value, dict)}


def _shown(row: Row) -> Row:
    return row | {"state": runs.state(row), "seconds": runs.seconds(row), "facts": facts_of_run(row)}


def _column(request: PageRequest, key: str, label: str, numeric: bool = False) -> RunsColumn:
    sort = request.query.get("sort", "-started")
    order = {f"+{key}": "ascending", key: "ascending", f"-{key}": "descending"}.get(sort)
    kept = {name: request.query.getlist(name) for name in request.query if name not in ("sort", "page")}
    turned = f"-{key}" if order == "ascending" or (order is None and numeric) else key
    address = addresses.with_query(request.address.partition("?")[0], kept | {"sort": turned})
    return RunsColumn(key, label, address, order, numeric)


def _order(request: PageRequest) -> str:
    sort = request.query.get("sort", "-started")
    sign, key = (sort[0], sort[1:]) if sort[:1] in "+-" and sort else ("+", sort)
    try:
        return sign + conditions.field(key)
    except BadInput:
        return "-created_at"
