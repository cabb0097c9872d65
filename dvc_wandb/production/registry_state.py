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
from dvc_wandb.client.connection import RESPONSE_TIMEOUT, RegistryConnection, public_api
from dvc_wandb.client.http_client import RegistryClient
from dvc_wandb.errors import RegistryHTTPError
from dvc_wandb.production import Record
from dvc_wandb.project.lock import Execution

ALIAS = "production"
RETRY_STATUSES = (408, 429)  # of HTTP's answers


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model; `md5` is "" for one that DVC doesn't know."""

    md5: str
    version: str
    entity: str
    project: str
    collection: str
    type: str

    @property
    def collection_path(self) -> str:
        return f"{self.entity}/{self.project}/{self.collection}"

    def __str__(self) -> str:
        return f"{self.md5[:8] or 'a model that DVC does not know'} ({self.version})"


@dataclass(frozen=True)
class AliasMove:
    """The alias moved: `md5` is "" for a version that DVC doesn't know, None where it was taken off."""

    md5: str | None
    version: str | None
    before: str | None
    at: datetime
    by: str


def find_version(target: str, alias: str = ALIAS) -> ModelVersion | None:
    """The version of the registered model `target` under a version number or an alias; None where there is none."""
    api, name = public_api(), f"{target}:{alias}"
    return as_model_version(api.artifact(name)) if api.artifact_exists(name) else None


def as_model_version(artifact: Any) -> ModelVersion:
    """A registered model's version, from the SDK's artifact."""
    md5, collection = content_alias.find_md5(artifact.aliases), artifact.name.rpartition(":")[0]
    return ModelVersion(md5, artifact.version, artifact.entity, artifact.project, collection, artifact.type)


# ---- the log ----


def alias_moves(connection: RegistryConnection, version: ModelVersion) -> list[AliasMove] | None:
    """The moves of the alias in the version's collection, oldest first; None where the registry keeps no log."""
    events = alias_events(connection, version.collection_path)
    if events is None:
        return None
    md5s = _md5_by_version(version)
    return [
        AliasMove(
            md5s.get(event["after"], "") if event["after"] else None,
            event["after"],
            event["before"],
            datetime.fromisoformat(event["at"]).astimezone(),
            event["who"],
        )
        for event in events
    ]


def alias_events(connection: RegistryConnection, collection: str, after: int = 0) -> list[dict[str, Any]] | None:
    """What the log has of the alias in `collection` (ENTITY/PROJECT/NAME) since the event `after`, oldest first.

    None where the registry keeps no log. Raises RegistryUnavailableError where it can't be asked just now.
    """
    events: list[dict[str, Any]] = []
    client = RegistryClient(connection.url)
    path = "/".join(quote(part, safe="") for part in collection.split("/", 2))
    while True:
        try:
            page = client.get(f"/activity/{path}?after={events[-1]['id'] if events else after}", RESPONSE_TIMEOUT)
        except RegistryHTTPError as error:
            if error.status in RETRY_STATUSES or error.status >= 500:  # it has a log, and can't be asked just now
                raise
            return None
        if not isinstance(page, dict) or "events" not in page:
            return None
        events += page["events"]
        if not page["more"]:
            return [event for event in events if event["action"] == "alias" and event["name"] == ALIAS]


def _md5_by_version(version: ModelVersion) -> dict[str, str]:
    """The md5 of each version in the collection, "" for one that DVC doesn't know: {'v0': '4788…'}."""
    artifacts = public_api().artifacts(version.type, version.collection_path)
    return {artifact.version: content_alias.find_md5(artifact.aliases) for artifact in artifacts}


# ---- the record ----


def record_collection(connection: RegistryConnection, execution: Execution) -> str:
    """Where the registry keeps the versions of the record that `execution` writes."""
    return f"{connection.path}/{execution.out(str(execution.meta['promotes'])).artifact}"


def promoting_record(
    connection: RegistryConnection, execution: Execution, model: ModelVersion
) -> tuple[str, Record] | None:
    """The record by which `model` became production, after that record's version; None where somebody clicked.

    Each promotion puts the alias on its record before it puts it on the model. A record that was in force before the
    alias moved last doesn't count: somebody may have clicked the model away, and back.
    """
    collection = record_collection(connection, execution)
    moves = alias_events(connection, model.collection_path)
    last = max((at for at, move in enumerate(moves or []) if move["after"] == model.version), default=0)
    record_moves = alias_events(connection, collection, after=moves[last - 1]["id"] if moves and last else 0)
    candidates = [move["after"] for move in reversed(record_moves or []) if move["after"]]
    for version in [ALIAS] if moves is None else dict.fromkeys(candidates):
        record = _download_record(f"{collection}:{version}", Path(str(execution.meta["promotes"])).name)
        if record and record.model_md5 == model.md5:
            return version, record
    return None


def was_followed(connection: RegistryConnection, execution: Execution, record: Record, model: str) -> bool:
    """Whether the alias already followed this very `record` to its version `model`, wherever it is now."""
    api, collection = public_api(), record_collection(connection, execution)
    name = f"{collection}:{content_alias.make(production.md5_of(record))}"
    if not (api.artifact_exists(name) and api.artifact_exists(model)):
        return False
    record_version, model_version = api.artifact(name).version, as_model_version(api.artifact(model))
    record_moves = alias_events(connection, collection) or []
    followed_at = next((move["id"] for move in record_moves if move["after"] == record_version), None)
    later_moves = alias_events(connection, model_version.collection_path, after=followed_at) if followed_at else None
    return any(move["after"] == model_version.version for move in later_moves or [])


def _download_record(name: str, file: str) -> Record | None:
    api = public_api()
    if not api.artifact_exists(name):
        return None
    return production.read(Path(api.artifact(name).get_entry(file).download()))
