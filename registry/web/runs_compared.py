"""Several runs in the same charts, and where their parameters and results differ."""

from typing import Any

from registry.model import access, runs
from registry.web import addresses, curves, find
from registry.web.runs import facts
from registry.web.shell import Page, Visit

Row = dict[str, Any]
MOST = 8


def page(visit: Visit) -> Page:
    """The runs that the address names, those that are there."""
    place = find.project(visit)
    wanted = list(dict.fromkeys(visit.query.getlist("run")))
    rows = [row for name in wanted[:MOST] for row in [access.find_run(visit.db, place, name)] if row]
    found = find.runs(visit, rows)
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
            "drawn": curves.of_runs(visit, found),
            "axes": list(dict.fromkeys(axis for row in found for axis in curves.axes(row))),
            "axis": curves.axis_of(visit),
            "smoothing": curves.smoothing_of(visit),
            "kept": [("run", name) for name in wanted],
            "all": addresses.join(place["entity_name"], place["name"], "runs"),
        },
    )


def _row(key: str, values: list[Any]) -> tuple[str, list[Any], bool]:
    """A key, what each run has of it, and whether they differ."""
    return key, values, any(value != values[0] for value in values)
