"""Whether git and the registry agree on what is in production.

Git's side is the record `production.json` beside the store, which the pipeline keeps. The alias `dvc-MD5` of a version
ties the two. A record that can't be read says nothing: no page may fail for it.
"""

import json
from dataclasses import dataclass
from typing import Any

from wandb_registry.defaults import TEAM
from wandb_registry.model.artifacts import dvc_md5, memberships
from wandb_registry.store import Store
from wandb_registry.web.shell import Visit

Row = dict[str, Any]
RECORD = "production.json"
LARGEST = 2**16
ALIAS = "production"


@dataclass(frozen=True)
class Sides:
    """The model in production by its md5 and version as git has it, and by its version as the registry has it."""

    md5: str
    reason: str
    recorded: str | None  # None: the registry lacks this model
    held: str | None  # None: no version has the alias

    @property
    def agree(self) -> bool:
        return self.recorded is not None and self.recorded == self.held


def sides(visit: Visit, place: Row, collection: Row) -> Sides | None:
    """Both sides of a registered model; None if git's record is about another one, or there is none."""
    record = _record(visit.store)
    name, md5 = record.get("registered_model"), record.get("model_md5")
    if name not in _names(place, collection) or not isinstance(md5, str) or not md5:
        return None
    recorded = memberships.find(visit.db, collection["id"], dvc_md5.content_alias(md5))
    held = memberships.find(visit.db, collection["id"], ALIAS)
    return Sides(
        md5,
        str(record.get("reason") or ""),
        memberships.version(recorded) if recorded else None,
        memberships.version(held) if held else None,
    )


def _names(place: Row, collection: Row) -> list[str]:
    """What a record may call a registered model: without an entity it means the team that runs go to."""
    name = f"{place['name']}/{collection['name']}"
    return [f"{place['entity_name']}/{name}"] + ([name] if place["entity_name"] == TEAM else [])


def _record(store: Store) -> Row:
    path = store.folder.parent / RECORD
    try:
        value = json.loads(path.read_bytes()) if path.is_file() and path.stat().st_size <= LARGEST else None
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
