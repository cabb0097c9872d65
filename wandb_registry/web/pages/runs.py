"""A project's runs as a table: which columns, which runs, in which order. All of it stands in the address."""

import json
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import runs, version_metrics
from wandb_registry.model.search import run_search
from wandb_registry.model.sweeps import sweeps
from wandb_registry.web import addresses, formats, lookups
from wandb_registry.web.pager import pager
from wandb_registry.web.shell import Page, Redirect, Visit

Row = dict[str, Any]
MANY = 50  # rows a page
CHOICES = 100  # columns that are offered
FIRST = 5  # of them, until someone chooses
RUNNING = json.dumps({"state": "running"})
STATES = ("running", "finished", "failed", "crashed", "killed")
FIXED = {
    "name": "display_name", "state": "state", "job": "job_type", "group": "group_name", "commit": "commit",
    "started": "created_at",
}  # fmt: skip
GROUPED = {"group": "group", "job": "job type", "state": "state", "commit": "commit"}
ASKED = ("q", "state", "group", "job", "sweep", "key", "is", "value", "sort", "with", "by")
KINDS = {"config": "config", "summary": "summary_metrics"}
OPERATORS = {"=": "$eq", "!=": "$ne", ">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte", "contains": "$contains"}


@dataclass(frozen=True)
class RunsColumn:
    """A column that one may sort by: `key` is what the address calls it."""

    key: str
    words: str
    sorts: str  # where a click on its head leads
    order: str | None  # ascending or descending, where the table is sorted by it
    numeric: bool = False


def project(visit: Visit) -> Page:
    """A project's runs."""
    place = lookups.project(visit)
    problem = wanted = None
    try:
        wanted = _filter(visit)
        total = run_search.count(visit.db, place["id"], wanted)
    except BadInput as error:
        problem, wanted = str(error), None
        total = run_search.count(visit.db, place["id"], wanted)
    pages = pager(visit, total, MANY)
    by = visit.query["by"] if visit.query.get("by") in GROUPED else None
    rows = run_search.page(visit.db, place["id"], wanted, _order(visit), pages.size, pages.offset, FIXED.get(by or ""))
    shown = [_shown(row) for row in lookups.runs(visit, rows)]
    chosen = list(dict.fromkeys(visit.query.getlist("column")))[:CHOICES]
    offered = sorted({key for row in shown for key in row["facts"]}, key=_rank)[:CHOICES]
    if "column" not in visit.query and "columns" not in visit.query:  # at first: what was measured
        chosen = [key for key in offered if _is_measured(key, shown)][:FIRST]
    numeric = {key for key in chosen if _is_numeric(key, shown)}
    running = run_search.count(visit.db, place["id"], RUNNING)
    return Page(
        "runs.html",
        {
            "title": place["name"],
            "project": place,
            "groups": _groups(visit, place, wanted, by, shown),
            "pages": pages,
            "any": total > 0 or bool(visit.query),
            "counts": lookups.counts(visit, place),
            "running": running,
            "live": running and any(row["state"] in runs.UNDER_WAY for row in shown),
            "with": visit.query.get("with", ""),
            "named": [row["name"] for row in shown],
            "problem": problem,
            "fixed": [_column(visit, key, "Job type" if key == "job" else key.capitalize()) for key in FIXED],
            "columns": [_column(visit, key, key.partition(".")[2], key in numeric) for key in chosen],
            "offered": [(key, key in chosen) for key in [*offered, *(key for key in chosen if key not in offered)]],
            "grouped": GROUPED,
            "states": STATES,
            "operators": list(OPERATORS),
            "asked": {key: visit.query.get(key, "") for key in ASKED},
            "compare": addresses.join(place["entity_name"], place["name"], "compare"),
            "clear": addresses.join(place["entity_name"], place["name"], "runs"),
        },
    )


def _groups(visit: Visit, place: Row, wanted: str | None, by: str | None, shown: list[Row]) -> list[Row]:
    """The rows of a page under the heads that the form asks for; one group without a head, if it asks for none."""
    if by is None or not shown:
        return [{"head": None, "runs": shown}]
    counts = run_search.tally(visit.db, place["id"], wanted, FIXED[by])
    field = "git_commit" if by == "commit" else FIXED[by]
    return [
        {"head": str(value or f"no {GROUPED[by]}"), "count": counts.get(value, 0), "runs": list(runs)}
        for value, runs in groupby(shown, key=lambda row: row[field])
    ]


def _is_numeric(key: str, shown: list[Row]) -> bool:
    return any(formats.is_number(row["facts"].get(key)) for row in shown)


def _is_measured(key: str, shown: list[Row]) -> bool:
    return key.startswith("summary.") and _is_numeric(key, shown)


def _rank(key: str) -> tuple:
    """Which columns come first: results before parameters, the usual metrics before others, DVC's md5s last."""
    return key.startswith("config.dvc."), key.startswith("config."), version_metrics.rank(key.partition(".")[2]), key


def of_sweep(visit: Visit) -> Redirect:
    """Where the SDK's link to a sweep leads: its runs."""
    place = lookups.project(visit)
    name = visit.path["sweep"]
    if sweeps.find(visit.db, place, name) is None:
        raise NotFound(f"'{place['name']}' has no sweep '{name}'.")
    runs_page = addresses.join(place["entity_name"], place["name"], "runs")
    return Redirect(addresses.with_query(runs_page, {"sweep": name}))


def facts(row: Row) -> dict[str, Any]:
    """A run's config and summary by dotted names: config.train.epochs, summary.accuracy."""
    config = {key: entry.get("value") for key, entry in runs.loads(row["config"]).items() if isinstance(entry, dict)}
    config.pop("_wandb", None)
    summary = {key: value for key, value in runs.loads(row["summary"]).items() if not key.startswith("_")}
    every = [*leaves(config, "config."), *leaves(summary, "summary.")]
    return {key: value for key, value in every if not isinstance(value, dict)}


def _shown(row: Row) -> Row:
    return row | {"state": runs.state(row), "seconds": runs.seconds(row), "facts": facts(row)}


def _column(visit: Visit, key: str, head: str, numeric: bool = False) -> RunsColumn:
    sort = visit.query.get("sort", "-started")
    now = {f"+{key}": "ascending", key: "ascending", f"-{key}": "descending"}.get(sort)
    sorts = {name: visit.query.getlist(name) for name in visit.query if name not in ("sort", "page")}
    turned = f"-{key}" if now == "ascending" or (now is None and numeric) else key
    return RunsColumn(
        key, head, addresses.with_query(visit.address.partition("?")[0], sorts | {"sort": turned}), now, numeric
    )


def _field(key: str) -> str:
    """What runsearch calls a column."""
    kind, _, path = key.partition(".")
    if kind in KINDS and path:
        return f"{KINDS[kind]}.{path}"
    if key in FIXED:
        return FIXED[key]
    raise BadInput(f"Runs have no column '{key}'. Columns are named like summary.accuracy or config.train.epochs.")


def _order(visit: Visit) -> str:
    sort = visit.query.get("sort", "-started")
    sign, key = (sort[0], sort[1:]) if sort[:1] in "+-" and sort else ("+", sort)
    try:
        return sign + _field(key)
    except BadInput:
        return "-created_at"


def _filter(visit: Visit) -> str | None:
    """What the form asks for, in the words of the public API's filters."""
    asked, clauses = visit.query, []
    if text := asked.get("q", "").strip():
        fields = ("display_name", "name", "notes", "commit")
        clauses.append({"$or": [{field: {"$contains": text}} for field in fields]})
    for name, field in (("state", "state"), ("group", "group"), ("job", "job_type"), ("sweep", "sweep")):
        if value := asked.get(name, "").strip():
            clauses.append({field: value})
    if key := asked.get("key", "").strip():
        operator = OPERATORS.get(asked.get("is", "="))
        if operator is None:
            raise BadInput(f"'{asked['is']}' is no comparison. There are: {', '.join(OPERATORS)}.")
        clauses.append({_field(key): {operator: _value(asked.get("value", ""), operator)}})
    return json.dumps({"$and": clauses}) if clauses else None


def _value(text: str, operator: str) -> Any:
    """A number where it reads as one, else the text."""
    if operator == "$contains":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
