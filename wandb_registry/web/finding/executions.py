"""The page of a project's pipeline executions: a row each, with parameters and results of all its runs."""

from typing import Any

from wandb_registry.model import access
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import runs, version_metrics
from wandb_registry.model.search import executions
from wandb_registry.web import addresses, formats, lookups
from wandb_registry.web.pager import paginate
from wandb_registry.web.views import Page, PageRequest

Row = dict[str, Any]
ROWS = 25  # on a page
FIRST_PARAMETERS, FIRST_RESULTS = 4, 6  # columns before somebody chooses
LONGEST = 40  # characters of a result that is shown before somebody chooses


def executions_page(request: PageRequest) -> Page:
    """A project's executions, the newest first. The address holds the page and the columns."""
    project = lookups.find_project(request)
    pager = paginate(request, executions.count(request.db, project["id"]), ROWS)
    rows = [_shown(request, found) for found in executions.page(request.db, project["id"], pager.size, pager.offset)]
    offered = list(dict.fromkeys(key for row in rows for key in row["facts"]))
    chosen = list(dict.fromkeys(request.query.getlist("column"))) or _first(rows, offered)
    return Page(
        "executions.html",
        {
            "title": f"Executions of {project['name']}",
            "project": project,
            "rows": rows,
            "columns": [
                (key, *_head(key), any(formats.is_number(row["facts"].get(key)) for row in rows)) for key in chosen
            ],
            "offered": [(key, key in chosen) for key in sorted({*offered, *chosen})],
            "pager": pager,
            "steps": executions.DEEPEST,
            "counts": lookups.project_counts(request, project),
            "clear": addresses.join(project["entity_name"], project["name"], "executions"),
        },
    )


def _shown(request: PageRequest, found: list[Row]) -> Row:
    """An execution's runs that the viewer may see, and what they were given and found, by JOB.config.… and the like."""
    visible = lookups.visible_runs(request, access.visible(request.db, request.viewer, found))
    facts, whose = {}, {}
    for run in visible:
        job = run["job_type"] or run["display_name"]
        own = {f"{job}.{key}": value for key, value in _facts(run)}
        facts |= own
        whose |= dict.fromkeys(own, run["address"])
    states = [runs.state(run) for run in visible]
    worst = next((state for state in ("running", "failed", "crashed", "killed") if state in states), "finished")
    return {"runs": visible, "facts": facts, "whose": whose, "state": worst, "last": visible[-1] if visible else None}


def _facts(run: Row) -> list[tuple[str, Any]]:
    config = {key: entry.get("value") for key, entry in runs.loads(run["config"]).items() if isinstance(entry, dict)}
    given = {key: value for key, value in config.items() if key not in ("_wandb", "dvc")}
    found = {key: value for key, value in runs.loads(run["summary"]).items() if not key.startswith("_")}
    values = [*leaves(given, "config."), *leaves(found, "summary.")]
    return [(key, value) for key, value in values if not isinstance(value, dict | list)]


def _head(key: str) -> tuple[str, str]:
    """The job of a column, and its name there: ('train', 'epochs')."""
    job, _, rest = key.partition(".config.") if ".config." in key else key.partition(".summary.")
    return job, rest


def _first(rows: list[Row], offered: list[str]) -> list[str]:
    """The columns before somebody chooses: parameters, those that differ first, then what the last runs found."""

    def differs(key: str) -> bool:
        return len({repr(row["facts"].get(key)) for row in rows if row["runs"]}) > 1

    parameters = sorted((key for key in offered if ".config." in key), key=lambda key: not differs(key))
    results = [key for key in offered if ".summary." in key and _is_short(rows, key)]
    last_first = sorted(results, key=lambda key: (version_metrics.rank(_head(key)[1]), -offered.index(key)))
    return parameters[:FIRST_PARAMETERS] + sorted(last_first[:FIRST_RESULTS], key=offered.index)


def _is_short(rows: list[Row], key: str) -> bool:
    return all(len(str(row["facts"].get(key, ""))) <= LONGEST for row in rows)
