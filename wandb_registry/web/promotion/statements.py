"""The signed statements about a version, as the pages tell of them: nothing here has a key, so nothing is verified."""

import json
from typing import Any

from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import lineage
from wandb_registry.web import lookups
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]


def about(request: PageRequest, artifact_id: int) -> list[Row]:
    """The signed statements about a version, each with what its maker told of it, and the runs that tried it."""
    db = request.db
    return [
        row
        | {
            "told": told,
            "attested": lookups.visible_run(request, lineage.maker(db, row)),
            "reproductions": _reproductions(request, row["id"]),
        }
        for row in lookups.visible_versions(request, lineage.statements(db, artifact_id))
        if isinstance(told := json.loads(row["metadata"] or "{}").get("provenance"), dict)
    ]


def _reproductions(request: PageRequest, statement_id: int) -> list[Row]:
    """What became of running the commit of a statement again."""
    runs = [run for run in lineage.users(request.db, statement_id) if run["job_type"] == "reproduce"]
    return [
        run | {"told": told, "by": users.by_id(request.db, run["user_id"])["username"] if run["user_id"] else "nobody"}
        for run in lookups.visible_runs(request, runs)
        if isinstance(told := json.loads(run["config"]).get("reproduction", {}).get("value"), dict)
    ]
