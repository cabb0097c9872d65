"""Several runs in the same charts, and where their parameters and results differ."""

from typing import Any

from wandb_registry.model import access
from wandb_registry.model.runs import runs
from wandb_registry.web import addresses, lookups
from wandb_registry.web.charts.metric_charts import chosen_axis, chosen_smoothing, metric_charts, possible_axes
from wandb_registry.web.pages.runs import facts_of_run
from wandb_registry.web.views import Page, PageRequest

Row = dict[str, Any]
MOST_RUNS = 8


def comparison_page(request: PageRequest) -> Page:
    """Compares the runs that the address names. Names of runs that don't exist are ignored."""
    project = lookups.find_project(request)
    names = list(dict.fromkeys(request.query.getlist("run")))
    rows = [access.find_run(request.db, project, name) for name in names[:MOST_RUNS]]
    compared = lookups.visible_runs(request, [row for row in rows if row])
    facts = [facts_of_run(run) for run in compared]
    keys = sorted({key for values in facts for key in values})
    return Page(
        "runs_compared.html",
        {
            "title": "Compare runs",
            "project": project,
            "runs": [run | {"state": runs.state(run)} for run in compared],
            "left_out": max(0, len(names) - MOST_RUNS),
            "facts": [_fact(key, [values.get(key) for values in facts]) for key in keys],
            "drawn": metric_charts(request, compared),
            "axes": list(dict.fromkeys(axis for run in compared for axis in possible_axes(run))),
            "axis": chosen_axis(request),
            "smoothing": chosen_smoothing(request),
            "kept": [("run", name) for name in names],
            "all": addresses.join(project["entity_name"], project["name"], "runs"),
        },
    )


def _fact(key: str, values: list[Any]) -> tuple[str, list[Any], bool]:
    """A key, its value in each run, and whether they differ."""
    return key, values, any(value != values[0] for value in values)
