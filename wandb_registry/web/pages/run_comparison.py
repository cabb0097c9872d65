"""Several runs in the same charts, and where their parameters and results differ."""

from collections import Counter
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model.runs import runs
from wandb_registry.web import addresses, formats, lookups
from wandb_registry.web.charts import run_colors
from wandb_registry.web.charts.metric_charts import best_value, metric_charts, toggled
from wandb_registry.web.media import logged_tables
from wandb_registry.web.pages import tables
from wandb_registry.web.pages.runs import facts_of_run
from wandb_registry.web.views import Export, Page, PageRequest, Redirect

Row = dict[str, Any]


def comparison_page(request: PageRequest) -> Page | Redirect:
    """Compares the runs that the address names. Names of runs that don't exist are ignored."""
    project = lookups.find_project(request)
    if switched := toggled(request):
        return switched
    names = list(dict.fromkeys(request.query.getlist("run")))
    found = {row["name"]: row for row in runs.named(request.db, project["id"], names)}
    compared = lookups.visible_runs(request, [found[name] for name in names if name in found])
    facts = [facts_of_run(run) for run in compared]
    keys = sorted({key for values in facts for key in values})
    rows = [_fact(key, [values.get(key) for values in facts], compared) for key in keys]
    places = run_colors.places(request.db, compared)
    unknown = [name for name in names if name not in found]
    return Page(
        "runs_compared.html",
        {
            "title": "Compare runs",
            "project": project,
            "wide": True,
            "runs": [
                run | {"state": runs.state(run), "color": run_colors.css_class(places[run["id"]])} for run in compared
            ],
            "unknown": unknown,
            "unknown_names": lookups.listed([formats.cut(name, 40) for name in unknown]),
            "parts_of_facts": [
                (f"{kind} that {'differs' if differ else 'is the same'}", chosen)
                for differ in (True, False)
                for kind in ("Config", "Summary")
                if (chosen := [row for row in rows if row["differs"] == differ and row["kind"] == kind.lower()])
            ],
            "drawn": metric_charts(request, project, compared, streams=("history", "system")),
            "tables": _table_links(project, compared),
            "all": addresses.join(project["entity_name"], project["name"], "runs"),
        },
    )


def tables_page(request: PageRequest) -> Page | Export:
    """The tables that several runs logged under one key, side by side: joined by a column, or by the numbers of rows.

    Raises NotFound if fewer than two of the runs have one.
    """
    project, key, by = lookups.find_project(request), request.query.get("key", ""), request.query.get("by") or None
    names = list(dict.fromkeys(request.query.getlist("run")))
    found = {row["name"]: row for row in runs.named(request.db, project["id"], names)}
    compared = lookups.visible_runs(request, [found[name] for name in names if name in found])
    logged = [(run, place) for run in compared if (place := logged_tables.place_of(request, run, key))]
    if len(logged) < 2:
        raise NotFound(f"Fewer than two of these runs have a table '{key}': there is nothing to join.")
    twice = Counter(run["display_name"] for run, _ in logged)
    labels = [f"{run['display_name']} {run['name']}" if twice[run["display_name"]] > 1 else run["display_name"]
              for run, _ in logged]  # fmt: skip
    sides = [tables.side_of(request, place.md5, label, by) for label, (_, place) in zip(labels, logged, strict=True)]
    steps = [("Compare", addresses.with_query(_compare(project), {"run": names}))]
    raws = [place.raw for _, place in logged]
    return tables.table_page(request, project, {"path": key}, sides, _compare(project), steps, [], raws)


def _compare(project: Row) -> str:
    return addresses.join(project["entity_name"], project["name"], "compare")


def _table_links(project: Row, compared: list[Row]) -> list[tuple[str, str]]:
    """(key, address) of each table that two or more of the runs have."""
    counts = Counter(key for run in compared for key in logged_tables.keys(run))
    address, names = (
        addresses.join(project["entity_name"], project["name"], "tables"),
        [run["name"] for run in compared],
    )
    return [
        (key, addresses.with_query(address, {"key": key, "run": names})) for key in sorted(counts) if counts[key] > 1
    ]


def _fact(key: str, values: list[Any], compared: list[Row]) -> Row:
    """A key with its value in each run, whether they differ, and which of them is the best."""
    kind, _, name = key.partition(".")
    texts = [formats.given(value) for value in values] if kind == "config" else formats.apart(values)
    best = best_value(name, values, compared) if kind == "summary" else None
    return {
        "kind": kind,
        "name": name,
        "differs": any(value != values[0] for value in values),
        "cells": [
            ("" if value is None else text, best is not None and value == best, formats.is_number(value))
            for value, text in zip(values, texts, strict=True)
        ],
    }
