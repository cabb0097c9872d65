"""Several runs in the same charts, and where their parameters and results differ."""

from typing import Any

from wandb_registry.model import access
from wandb_registry.model.runs import runs
from wandb_registry.web import addresses, lookups
from wandb_registry.web.charts import metric_charts
from wandb_registry.web.pages.runs import facts
from wandb_registry.web.shell import Page, Visit

Row = dict[str, Any]
MOST = 8


def page(visit: Visit) -> Page:
    """The runs that the address names, those that are there."""
    place = lookups.project(visit)
    wanted = list(dict.fromkeys(visit.query.getlist("run")))
    rows = [row for name in wanted[:MOST] for row in [access.find_run(visit.db, place, name)] if row]
    found = lookups.runs(visit, rows)
    all_facts = [facts(row) for row in found]
    keys = sorted({key for one in all_facts for key in one})
    return Page(
        "runs_compared.html",
        {
            "title": "Compare runs",
            "project": place,
            "runs": [row | {"state": runs.state(row)} for row in found],
            "left_out": max(0, len(wanted) - MOST),
            "facts": [_row(key, [one.get(key) for one in all_facts]) for key in keys],
            "drawn": metric_charts.metric_charts(visit, found),
            "axes": list(dict.fromkeys(axis for row in found for axis in metric_charts.possible_axes(row))),
            "axis": metric_charts.chosen_axis(visit),
            "smoothing": metric_charts.chosen_smoothing(visit),
            "kept": [("run", name) for name in wanted],
            "all": addresses.join(place["entity_name"], place["name"], "runs"),
        },
    )


def _row(key: str, values: list[Any]) -> tuple[str, list[Any], bool]:
    """A key, what each run has of it, and whether they differ."""
    return key, values, any(value != values[0] for value in values)
