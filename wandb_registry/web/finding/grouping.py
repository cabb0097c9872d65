"""A list of runs in groups: by=group, by=config.model. A group has the mean and the range of each column."""

import json
from itertools import groupby
from typing import Any

from wandb_registry.model.runs import version_metrics
from wandb_registry.model.search import run_search
from wandb_registry.web import formats
from wandb_registry.web.charts import run_colors
from wandb_registry.web.finding import conditions
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
COLUMNS = {"group": "group", "job": "job type", "state": "state", "tags": "tags", "commit": "commit"}
OF_ROW = {"group": "group_name", "job": "job_type", "commit": "git_commit"}  # where a row has another name for it


def chosen(request: PageRequest) -> str | None:
    """The column of the address, if runs have it: one of COLUMNS, or a key of the config."""
    by = request.query.get("by", "")
    return by if by in COLUMNS or (by.startswith("config.") and len(by) > len("config.")) else None


def field(by: str | None) -> str | None:
    """The column's name in filters of the public API."""
    return conditions.field(by) if by else None


def groups(
    request: PageRequest, project: Row, filters: str | None, by: str | None, shown: list[Row], columns: list[str]
) -> list[Row]:
    """The rows of a page in groups with a head; one group without a head if the address asks for no groups.

    A head says how many runs the group has, also on other pages, and of the columns their mean and range on this one.
    """
    if by is None or not shown:
        return [{"head": None, "runs": shown, "folded": False}]
    counts = run_search.tally(request.db, project["id"], filters, conditions.field(by))
    folded = request.query.getlist("fold")
    grouped = [(value, list(rows)) for value, rows in groupby(shown, key=lambda row: _value(row, by))]
    return [
        {
            "head": head,
            "count": max(counts.get(value, 0), len(rows)),
            "runs": rows,
            "color": f"s{at % run_colors.COLORS + 1}",
            "folded": f"group:{head}" in folded,
            "columns": {key: _mean_and_range([row["facts"].get(key) for row in rows]) for key in columns},
        }
        for at, (value, rows) in enumerate(grouped)
        for head in [_head(value, by)]
    ]


def _value(row: Row, by: str) -> Any:
    """What the runs of a group have in common; a list as its JSON."""
    value = row[OF_ROW.get(by, by)] if by in COLUMNS else row["facts"].get(by)
    return json.dumps(value, separators=(",", ":")) if isinstance(value, list | dict) else value


def _head(value: Any, by: str) -> str:
    if by == "tags":
        value = ", ".join(map(str, json.loads(value)))
    empty = f"no {COLUMNS.get(by) or by.partition('.')[2]}"
    return empty if value in (None, "") else formats.given(value)


def _mean_and_range(values: list[Any]) -> tuple[float, float, float] | None:
    numbers = [float(value) for value in values if formats.is_number(value) and abs(value) < version_metrics.HUGE]
    return (sum(numbers) / len(numbers), min(numbers), max(numbers)) if numbers else None
