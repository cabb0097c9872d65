"""What the registry knows of production: the version that has the alias, how it came there, and by which record.

The embedded registry keeps a log of each move. W&B's own servers have none to read; there the alias alone is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dvc_wandb import content_alias, production
from dvc_wandb.client.connection import ANSWER_WITHIN, RegistryConnection, public_api
from dvc_wandb.client.http_client import RegistryClient
from dvc_wandb.errors import RegistryRefuses
from dvc_wandb.production import Record
from dvc_wandb.project.lock import Execution

ALIAS = "production"
BUSY = (408, 429)  # of HTTP's answers


@dataclass(frozen=True)
class AliasHolder:
    """The version that has the alias in the registry; `md5` is "" for one that DVC doesn't know."""

    md5: str
    version: str
    entity: str
    project: str
    collection: str
    type: str

    @property
    def place(self) -> str:
        return f"{self.entity}/{self.project}/{self.collection}"

    def __str__(self) -> str:
        return f"{self.md5[:8] or 'a model that DVC does not know'} ({self.version})"


@dataclass(frozen=True)
class Move:
    """The alias moved: `md5` is "" for a version that DVC doesn't know, None where it was taken off."""

    md5: str | None
    version: str | None
    before: str | None
    at: datetime
    by: str


def held(target: str, alias: str = ALIAS) -> AliasHolder | None:
    """The version of the registered model `target` that has the alias now; None where none has."""
    api, name = public_api(), f"{target}:{alias}"
    return of_version(api.artifact(name)) if api.artifact_exists(name) else None


def of_version(version: Any) -> AliasHolder:
    """The SDK's version of a registered model, as it is known here."""
    md5, collection = content_alias.md5_among(version.aliases), version.name.rpartition(":")[0]
    return AliasHolder(md5, version.version, version.entity, version.project, collection, version.type)


# ---- the log ----


def moves(connection: RegistryConnection, found: AliasHolder) -> list[Move] | None:
    """Where the alias was, oldest first; None where the registry has no log that can be read, as W&B's own."""
    events = log(connection, found.place)
    if events is None:
        return None
    md5s = _md5s(found)
    return [
        Move(
            md5s.get(event["after"], "") if event["after"] else None,
            event["after"],
            event["before"],
            datetime.fromisoformat(event["at"]).astimezone(),
            event["who"],
        )
        for event in events
    ]


def log(connection: RegistryConnection, place: str, after: int = 0) -> list[dict[str, Any]] | None:
    """What happened to the alias in the collection at `place` since the event `after`, oldest first; None as above."""
    found: list[dict[str, Any]] = []
    client = RegistryClient(connection.url)
    address = "/".join(quote(part, safe="") for part in place.split("/", 2))
    while True:
        try:
            page = client.get(f"/activity/{address}?after={found[-1]['id'] if found else after}", ANSWER_WITHIN)
        except RegistryRefuses as error:
            if error.status in BUSY or error.status >= 500:  # it has a log, and can't be asked just now
                raise
            return None
        if not isinstance(page, dict) or "events" not in page:
            return None
        found += page["events"]
        if not page["more"]:
            return [event for event in found if event["action"] == "alias" and event["name"] == ALIAS]


def _md5s(found: AliasHolder) -> dict[str, str]:
    """The md5 of each version, "" for one that DVC doesn't know: {'v0': '4788…'}."""
    versions = public_api().artifacts(found.type, found.place)
    return {version.version: content_alias.md5_among(version.aliases) for version in versions}


# ---- the record ----


def record_path(connection: RegistryConnection, execution: Execution) -> str:
    """Where the registry keeps the versions of the record that `execution` writes."""
    return f"{connection.path}/{execution.out(str(execution.meta['promotes'])).artifact}"


def behind(connection: RegistryConnection, execution: Execution, now: AliasHolder) -> tuple[str, Record] | None:
    """The record by which a model became production, and its version; None for a click.

    Each promotion puts the alias on its record before it puts it on the model. A record that was in force before the
    alias moved last doesn't count: somebody may have clicked the model away, and back.
    """
    place = record_path(connection, execution)
    turns = log(connection, now.place)
    came = max((at for at, turn in enumerate(turns or []) if turn["after"] == now.version), default=0)
    announced = log(connection, place, after=turns[came - 1]["id"] if turns and came else 0)
    known = [event["after"] for event in reversed(announced or []) if event["after"]]
    for version in [ALIAS] if turns is None else dict.fromkeys(known):
        found = _record(f"{place}:{version}", Path(str(execution.meta["promotes"])).name)
        if found and found.model_md5 == now.md5:
            return version, found
    return None


def arrived(connection: RegistryConnection, execution: Execution, record: Record, model: str) -> bool:
    """Whether the alias followed this very `record` to its version `model` already, wherever it is now."""
    api, name = public_api(), f"{record_path(connection, execution)}:{content_alias.make(production.md5_of(record))}"
    if not (api.artifact_exists(name) and api.artifact_exists(model)):
        return False
    announced, there = (api.artifact(one) for one in (name, model))
    events = log(connection, record_path(connection, execution)) or []
    since = next((event["id"] for event in events if event["after"] == announced.version), None)
    later = log(connection, of_version(there).place, after=since) if since else None
    return any(event["after"] == there.version for event in later or [])


def _record(name: str, file: str) -> Record | None:
    api = public_api()
    if not api.artifact_exists(name):
        return None
    return production.read(Path(api.artifact(name).get_entry(file).download()))
