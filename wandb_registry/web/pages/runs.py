"""The workspace of a project: its runs as a table, and the charts of those that it shows, all as the address says."""

import json
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import runs, version_metrics
from wandb_registry.model.search import run_search
from wandb_registry.web import addresses, alerts, formats, lookups
from wandb_registry.web.charts import column_plots, run_colors
from wandb_registry.web.charts.metric_charts import best_value, metric_charts, toggled
from wandb_registry.web.finding import conditions, saved_views
from wandb_registry.web.pager import beginning, paginate
from wandb_registry.web.views import Page, PageRequest, Redirect

Row = dict[str, Any]
ROWS = ("50", "100", "200")  # to choose how many are on a page
MOST_COLUMNS = 100  # to choose from, before somebody asks for all
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
    """A project's runs, and the charts of those on this page."""
    project = lookups.find_project(request)
    if view := saved_views.entered(request, project) or toggled(request):
        return view
    problem, filters, found = None, None, []
    try:
        found = conditions.conditions(request)
        filters = conditions.filters(request, found)
        total = run_search.count(request.db, project["id"], filters)
    except BadInput as error:
        problem, filters = str(error), None
        total = run_search.count(request.db, project["id"], filters)
    size = request.query["rows"] if request.query.get("rows") in ROWS else ROWS[0]
    pager = paginate(request, total, int(size))
    by = request.query["by"] if request.query.get("by") in GROUPED else None
    order, group = _order(request), FIXED.get(by or "")
    rows = run_search.page(request.db, project["id"], filters, order, pager.size, pager.offset, group)
    shown = [_shown(row) for row in lookups.visible_runs(request, rows)]
    chosen = list(dict.fromkeys(request.query.getlist("column")))
    places = run_colors.places(request.db, shown)
    shown = [row | {"color": run_colors.css_class(places[row["id"]])} for row in shown]
    columns = sorted({key for row in shown for key in row["facts"]}, key=_rank)
    all_columns = beginning(request, "offered", len(columns), MOST_COLUMNS)
    offered = columns[: all_columns.shown]
    if "column" not in request.query and "columns" not in request.query:  # before somebody chooses: metrics
        chosen = [key for key in columns if _is_measured(key, shown)][:FIRST_COLUMNS]
    numeric = {key for key in chosen if _is_numeric(key, shown)}
    groups = _groups(request, project, filters, by, shown, chosen)
    labels = [group["head"] for group in groups for _ in group["runs"]] if by else None
    running = run_search.count(request.db, project["id"], RUNNING)
    return Page(
        "runs.html",
        {
            "title": project["name"],
            "project": project,
            "wide": True,
            "sizes": [(rows, pager.path_with(rows=rows), rows == size) for rows in ROWS]
            if total > int(ROWS[0])
            else [],
            "groups": groups,
            "grouped_by": by,
            "best": {key: _best(key, shown) for key in numeric},
            "drawn": metric_charts(request, project, shown, streams=("history", "system"), groups=labels),
            "panels": column_plots.panels(request, shown),
            "hidden": set(request.query.getlist("hide")),
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
            "offered": [(key, key in chosen) for key in dict.fromkeys([*offered, *chosen])],
            "all_columns": all_columns,
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


def _groups(
    request: PageRequest, project: Row, filters: str | None, by: str | None, shown: list[Row], chosen: list[str]
) -> list[Row]:
    """The rows of a page in groups with a head; one group without a head if the form asks for no groups.

    A head says how many runs the group has, also on other pages, and of the columns their mean and range on this one.
    """
    if by is None or not shown:
        return [{"head": None, "runs": shown, "folded": False}]
    counts = run_search.tally(request.db, project["id"], filters, FIXED[by])
    field, folded = "git_commit" if by == "commit" else FIXED[by], request.query.getlist("fold")
    grouped = [(value, list(rows)) for value, rows in groupby(shown, key=lambda row: row[field])]
    return [
        {
            "head": head,
            "count": counts.get(value, 0),
            "runs": rows,
            "color": f"s{at % run_colors.COLORS + 1}",
            "folded": f"group:{head}" in folded,
            "columns": {key: _mean_and_range([row["facts"].get(key) for row in rows]) for key in chosen},
        }
        for at, (value, rows) in enumerate(grouped)
        for head in [str(value or f"no {GROUPED[by]}")]
    ]


def _mean_and_range(values: list[Any]) -> tuple[float, float, float] | None:
    numbers = [float(value) for value in values if formats.is_number(value) and abs(value) < version_metrics.HUGE]
    return (sum(numbers) / len(numbers), min(numbers), max(numbers)) if numbers else None


def _best(key: str, shown: list[Row]) -> float | None:
    kind, _, name = key.partition(".")
    return best_value(name, [row["facts"].get(key) for row in shown], shown) if kind == "summary" else None


def _is_numeric(key: str, shown: list[Row]) -> bool:
    return any(formats.is_number(row["facts"].get(key)) for row in shown)


def _is_measured(key: str, shown: list[Row]) -> bool:
    return key.startswith("summary.") and _is_numeric(key, shown)


def _rank(key: str) -> tuple:
    """A sort key for columns: results before parameters, the usual metrics before others, DVC's md5s last."""
    return key.startswith("config.dvc."), key.startswith("config."), version_metrics.rank(key.partition(".")[2]), key


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
