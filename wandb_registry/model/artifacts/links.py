"""Links: versions of sequences that are members of portfolios too. A registered model is a portfolio."""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import projects
from wandb_registry.model.access import Viewer
from wandb_registry.model.artifacts import collections, memberships

Row = dict[str, Any]


def link(
    db: Connection,
    viewer: Viewer,
    artifact: Row,
    entity_name: str | None,
    project_name: str | None,
    name: str,
    aliases: list[str],
) -> Row:
    """Links a version to a portfolio, made if need be, where it becomes `latest`. A second time changes nothing."""
    if artifact["state"] != "COMMITTED":
        raise BadInput("Only a committed artifact can be linked.")
    project = projects.ensure(db, viewer, entity_name, project_name)
    artifact_type = collections.type_of(db, collections.by_id(db, artifact["collection_id"]))["name"]
    portfolio = collections.ensure(db, project, name, artifact_type, "PORTFOLIO")
    membership = memberships.of(db, portfolio["id"], artifact["id"])
    if membership is None:
        membership = memberships.add(db, viewer, portfolio["id"], artifact["id"], "link")
        memberships.move_alias(db, viewer, membership, memberships.LATEST)
    for alias in aliases:
        memberships.move_alias(db, viewer, membership, alias)
    return membership


def unlink(db: Connection, viewer: Viewer, portfolio: Row, artifact_id: int) -> None:
    """Takes a version out of a portfolio, with the aliases that it has there."""
    if portfolio["kind"] != "PORTFOLIO":
        raise BadInput(f"'{portfolio['name']}' owns its versions: delete the version instead of unlinking it.")
    membership = memberships.of(db, portfolio["id"], artifact_id)
    if membership is None:
        raise NotFound(f"The artifact is not linked to '{portfolio['name']}'.")
    memberships.refuse_in_production(db, artifact_id, portfolio["id"])
    memberships.remove(db, viewer, membership, "unlink")


def writable_membership(db: Connection, viewer: Viewer, artifact_id: int, entity: str, project: str, name: str) -> Row:
    """The membership of a version in a collection that the account may change."""
    collection = collections.writable(db, viewer, entity, project, name)
    membership = memberships.of(db, collection["id"], artifact_id)
    if membership is None:
        raise NotFound(f"'{entity}/{project}/{name}' has no such version of the artifact.")
    return membership
