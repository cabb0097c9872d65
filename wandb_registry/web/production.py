"""Whether git and the registry agree on what is in production.

Git's side is the record `production.json` beside the store, which the pipeline keeps. The alias of the content ties it
to a version. A record that can't be read is as none: no page may fail for it.
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
    """The model in production by its md5, and the version that it is in git's record and by the registry's alias."""

    md5: str
    reason: str
    in_git: str | None  # None: the registry lacks the recorded model
    in_registry: str | None  # None: no version has the alias

    @property
    def agree(self) -> bool:
        return self.in_git is not None and self.in_git == self.in_registry


def production_sides(request: PageRequest, project: Row, collection: Row) -> ProductionSides | None:
    """Both sides of a registered model; None if git's record is about another one, or there is none."""
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
    """What a record may call a registered model: without an entity it means the team that runs go to."""
    name = f"{project['name']}/{collection['name']}"
    return [f"{project['entity_name']}/{name}"] + ([name] if project["entity_name"] == TEAM else [])


def _read_record(store: Store) -> Row:
    path = store.folder.parent / RECORD
    try:
        value = json.loads(path.read_bytes()) if path.is_file() and path.stat().st_size <= LARGEST_RECORD else None
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
