"""Several runs in the same charts, and where their parameters and results differ."""

from typing import Any

from wandb_registry.model.runs import runs
from wandb_registry.web import addresses, formats, lookups
from wandb_registry.web.charts import run_colors
from wandb_registry.web.charts.metric_charts import best_value, metric_charts, toggled
from wandb_registry.web.pages.runs import facts_of_run
from wandb_registry.web.views import Page, PageRequest, Redirect

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
    return Page(
        "runs_compared.html",
        {
            "title": "Compare runs",
            "project": project,
            "wide": True,
            "runs": [
                run | {"state": runs.state(run), "color": run_colors.css_class(places[run["id"]])} for run in compared
            ],
            "unknown": [name for name in names if name not in found],
            "parts_of_facts": [
                (f"{kind} that {'differs' if differ else 'is the same'}", chosen)
                for differ in (True, False)
                for kind in ("Config", "Summary")
                if (chosen := [row for row in rows if row["differs"] == differ and row["kind"] == kind.lower()])
            ],
            "drawn": metric_charts(request, project, compared, streams=("history", "system")),
            "all": addresses.join(project["entity_name"], project["name"], "runs"),
        },
    )


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
