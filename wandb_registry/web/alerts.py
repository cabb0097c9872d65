"""What the panel of alerts shows, on a run's page and on its project's."""

from typing import Any

from wandb_registry.model.runs import alerts
from wandb_registry.web import addresses
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
FIRST = 5  # shown before somebody asks for all


def shown(request: PageRequest, project: Row, run: Row | None = None) -> Row:
    """The newest alerts of a project or of one run, how many there are, and the address that shows all."""
    run_id = run["id"] if run else None
    total = alerts.count(request.db, project["id"], run_id)
    rows = alerts.newest(request.db, project["id"], run_id, total if request.query.get("alerts") == "all" else FIRST)
    entity, name = project["entity_name"], project["name"]
    page = run["address"] if run else addresses.join(entity, name, "runs")
    return {
        "alerts": [row | {"address": addresses.run(entity, name, row["run_name"])} for row in rows],
        "alert_count": total,
        "all_alerts": addresses.with_query(page, {"alerts": "all"}),
    }
