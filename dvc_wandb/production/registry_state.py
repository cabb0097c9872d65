"""Reads production from the registry: the version with the alias, its moves, and the commit that it follows.

The version of the record has the alias too, and the commit in its metadata. A click changes neither. The embedded
registry logs each move; W&B's own servers have no such log.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from dvc_wandb import content_alias
from dvc_wandb.client.connection import RESPONSE_TIMEOUT, RegistryConnection, public_api
from dvc_wandb.client.http_client import RegistryClient
from dvc_wandb.client.queries import Queries
from dvc_wandb.errors import RegistryHTTPError
from dvc_wandb.project.lock import Execution

ALIAS = "production"
ORGANIZATION_REGISTRY = "wandb-registry-"  # how W&B names the project of a registry
APPROVE = "approve"  # the log's action of a yes
FOLLOWED = "production"  # in the metadata of the record's version
RETRY_STATUSES = (408, 429)  # of HTTP's answers


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model; `md5` is "" if DVC doesn't know it."""

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
    """A move of the alias: `md5` is "" if DVC doesn't know the version, None if the alias was removed."""

    md5: str | None
    version: str | None
    before: str | None
    at: datetime
    by: str
    approval: str = ""  # "asked by jon: it is better", where `by` approved what somebody else asked for

    @property
    def people(self) -> str:
        """Who moved it, and who asked for that."""
        return f"{self.by}, {self.approval}" if self.approval else self.by


def find_version(connection: RegistryConnection, target: str, alias: str = ALIAS) -> ModelVersion | None:
    """The version of the registered model `target` under a version number or an alias; None where there is none."""
    *owner, registry, collection = target.split("/")
    if registry.startswith(ORGANIZATION_REGISTRY):  # the SDK finds the organization's entity
        api, name = public_api(), f"{target}:{alias}"
        return as_model_version(api.artifact(name)) if api.artifact_exists(name) else None
    place = replace(connection, project=registry, entity=owner[0] if owner else connection.entity)
    (membership,) = Queries(place).memberships([f"{collection}:{alias}"])
    if membership is None:
        return None
    artifact, number = membership["artifact"], f"v{membership['versionIndex']}"
    aliases = [
        one["alias"] for one in artifact["aliases"] if (one["artifactCollection"] or {}).get("name") == collection
    ]
    type_name = artifact["artifactType"]["name"]
    return ModelVersion(content_alias.find_md5(aliases), number, place.entity, registry, collection, type_name)


def as_model_version(artifact: Any) -> ModelVersion:
    """A registered model's version, from the SDK's artifact."""
    md5, collection = content_alias.find_md5(artifact.aliases), artifact.name.rpartition(":")[0]
    return ModelVersion(md5, artifact.version, artifact.entity, artifact.project, collection, artifact.type)


# ---- the log ----


def alias_moves(connection: RegistryConnection, version: ModelVersion) -> list[AliasMove] | None:
    """The moves of the alias in the version's collection, oldest first; None if the registry has no log."""
    events = alias_events(connection, version.collection_path)
    if events is None:
        return None
    md5s = _md5_by_version(connection, version)
    return [
        AliasMove(
            md5s.get(event["after"], "") if event["after"] else None,
            event["after"],
            event["before"],
            datetime.fromisoformat(event["at"]).astimezone(),
            event["who"],
            event["approval"],
        )
        for event in events
    ]


def alias_events(connection: RegistryConnection, collection: str) -> list[dict[str, Any]] | None:
    """The log's events of the alias in `collection`, oldest first, as `events_in` returns them.

    Each has its `approval` too: who asked for the move and why it was approved, or "".
    """
    events = events_in(connection, collection)
    if events is None:
        return None
    found: list[dict[str, Any]] = []
    yes: dict[str, Any] | None = None  # the yes that a move follows, in the same transaction
    for event in events:
        if event["name"] == ALIAS and event["action"] == "alias":
            is_approved = yes is not None and (yes["before"], yes["who"]) == (event["after"], event["who"])
            found.append({**event, "approval": yes["after"] if yes and is_approved else ""})
        yes = event if (event["name"], event["action"]) == (ALIAS, APPROVE) else None
    return found


def events_in(connection: RegistryConnection, collection: str) -> list[dict[str, Any]] | None:
    """The log's events of `collection` (ENTITY/PROJECT/NAME), oldest first; each `hash` covers all events before it.

    None if the registry has no log. Raises RegistryUnavailableError if it can't be read just now.
    """
    events: list[dict[str, Any]] = []
    client = RegistryClient(connection.url)
    path = "/".join(quote(part, safe="") for part in collection.split("/", 2))
    while True:
        try:
            page = client.get(f"/activity/{path}?after={events[-1]['id'] if events else 0}", RESPONSE_TIMEOUT)
        except RegistryHTTPError as error:
            if error.status in RETRY_STATUSES or error.status >= 500:  # it has a log, and can't be asked just now
                raise
            return None
        if not isinstance(page, dict) or "events" not in page:
            return None
        events += page["events"]
        if not page["more"]:
            return events


def _md5_by_version(connection: RegistryConnection, version: ModelVersion) -> dict[str, str]:
    """The md5 of each version in the collection, "" for one that DVC doesn't know: {'v0': '4788…'}."""
    queries = Queries(replace(connection, project=version.project, entity=version.entity))
    return {number: content_alias.find_md5(aliases) for number, aliases in queries.aliases(version.collection)}


# ---- the commit that the registry follows ----


@dataclass(frozen=True)
class FollowedCommit:
    """The commit that put a model in production."""

    commit: str
    model_md5: str


def followed_commit(connection: RegistryConnection, execution: Execution) -> FollowedCommit | None:
    """The commit that the registry follows; None if it follows none yet."""
    (membership,) = Queries(connection).memberships([f"{_record_collection(execution)}:{ALIAS}"])
    facts = json.loads(membership["artifact"]["metadata"] or "{}").get(FOLLOWED) if membership else None
    return FollowedCommit(str(facts.get("commit")), str(facts.get("model_md5"))) if isinstance(facts, dict) else None


def write_followed_commit(
    connection: RegistryConnection, execution: Execution, record_md5: str, followed: FollowedCommit
) -> None:
    """Write the alias and the commit to the version of the record, if the registry has it."""
    api, name = public_api(), f"{connection.path}/{_record_collection(execution)}:{content_alias.make(record_md5)}"
    if api.artifact_exists(name):
        record = api.artifact(name)
        record.aliases = list(dict.fromkeys([*record.aliases, ALIAS]))
        record.metadata = {**record.metadata, FOLLOWED: asdict(followed)}
        record.save()


def _record_collection(execution: Execution) -> str:
    """The collection with the versions of the record."""
    return execution.out(str(execution.meta["promotes"])).artifact
