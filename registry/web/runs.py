"""A project's runs, and a run: its config, its summary, what it used and made."""

from registry.model import lineage, runs, runsearch
from registry.web import find
from registry.web.shell import Page, Visit

RECENT = 50


def project(visit: Visit) -> Page:
    """A project's runs."""
    place = find.project(visit)
    rows = runsearch.page(visit.db, place["id"], None, "-created_at", RECENT, 0)
    shown = [row | {"state": runs.state(row)} for row in find.runs(visit, rows)]
    return Page("project.html", {"title": place["name"], "project": place, "runs": shown})


def run(visit: Visit) -> Page:
    """A run."""
    place, found = find.run(visit)
    config = {key: entry.get("value") for key, entry in runs.loads(found["config"]).items() if key != "_wandb"}
    summary = {key: value for key, value in runs.loads(found["summary"]).items() if not key.startswith("_")}
    return Page(
        "run.html",
        {
            "title": found["display_name"],
            "project": place,
            "run": found | {"state": runs.state(found)},
            "config": config,
            "summary": summary,
            "inputs": find.versions(visit, lineage.inputs(visit.db, found["id"])),
            "outputs": find.versions(visit, lineage.outputs(visit.db, found["id"])),
        },
    )
