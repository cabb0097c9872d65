"""Whether git and the registry agree on what is in production.

Git's side is the record `production.json` beside the store's folder, which the pipeline writes. The content's alias
leads from the record to a version. A record that can't be read counts as missing, so that no page fails because of it.
"""

import json
from dataclasses import dataclass
from typing import Any

from wandb_registry.defaults import TEAM
from wandb_registry.model.artifacts import dvc_md5, memberships
from wandb_registry.store import Store
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
RECORD = "production.json"
LARGEST_RECORD = 2**16
ALIAS = "production"


@dataclass(frozen=True)
class ProductionSides:
    """The model in production by git's record: its md5 and version; and the version that has the alias `production`."""

    md5: str
    reason: str
    in_git: str | None  # None: the registry lacks the recorded model
    in_registry: str | None  # None: no version has the alias

    @property
    def agree(self) -> bool:
        return self.in_git is not None and self.in_git == self.in_registry


def production_sides(request: PageRequest, project: Row, collection: Row) -> ProductionSides | None:
    """Both sides for a registered model; None if git's record is missing or about another model."""
    record = _read_record(request.store)
    name, md5 = record.get("registered_model"), record.get("model_md5")
    if name not in _recorded_names(project, collection) or not isinstance(md5, str) or not md5:
        return None
    recorded = memberships.find(request.db, collection["id"], dvc_md5.content_alias(md5))
    aliased = memberships.find(request.db, collection["id"], ALIAS)
    return ProductionSides(
        md5,
        str(record.get("reason") or ""),
        memberships.version(recorded) if recorded else None,
        memberships.version(aliased) if aliased else None,
    )


def _recorded_names(project: Row, collection: Row) -> list[str]:
    """The names that a record may use for a registered model. One without an entity means the default team's."""
    name = f"{project['name']}/{collection['name']}"
    return [f"{project['entity_name']}/{name}"] + ([name] if project["entity_name"] == TEAM else [])


def _read_record(store: Store) -> Row:
    path = store.folder.parent / RECORD
    try:
        value = json.loads(path.read_bytes()) if path.is_file() and path.stat().st_size <= LARGEST_RECORD else None
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
