"""What the panel of alerts shows, on a run's page and on its project's."""

from typing import Any

from wandb_registry.model.runs import alerts
from wandb_registry.web import addresses
from wandb_registry.web.pager import beginning
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
FIRST = 5  # shown before somebody asks for all


def shown(request: PageRequest, project: Row, run: Row | None = None) -> Row:
    """The newest alerts of a project or of one run, and where all of them are."""
    run_id = run["id"] if run else None
    entity, name = project["entity_name"], project["name"]
    page = run["address"] if run else addresses.join(entity, name, "runs")
    some = beginning(request, "alerts", alerts.count(request.db, project["id"], run_id), FIRST, page)
    rows = alerts.newest(request.db, project["id"], run_id, some.shown)
    return {
        "alerts": [row | {"address": addresses.run(entity, name, row["run_name"])} for row in rows],
        "all_alerts": some,
    }
