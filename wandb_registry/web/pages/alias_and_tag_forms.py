"""The forms that add and remove aliases and tags of a version, and tags of a registered model."""

from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.model import access
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import collections, memberships, tags
from wandb_registry.web import lookups
from wandb_registry.web.views import PageRequest, Redirect

Row = dict[str, Any]


def change_version(request: PageRequest, project: Row, collection: Row, alias: str) -> Redirect:
    """Adds or removes an alias or a tag of a version. Raises what the model refuses."""
    membership = lookups.find_membership(request, collection, alias)
    if request.form.get("do") in ("add-alias", "drop-alias"):
        collections.writable(request.db, request.viewer, project["entity_name"], project["name"], collection["name"])
        return Redirect(request.address, _change_alias(request, membership))
    artifact = access.artifact(request.db, request.viewer, membership["artifact_id"], Role.MEMBER)
    action, tag = _tag_form(request)
    if action == "add-tag":
        tags.add_to_artifact(request.db, artifact["id"], [tag])
        return Redirect(request.address, f"Tag {tag} added.")
    tags.take_from_artifact(request.db, artifact["id"], [tag])
    return Redirect(request.address, f"Tag {tag} removed.")


def change_collection(request: PageRequest, project: Row, collection: Row) -> Redirect:
    """Adds or removes a tag of a registered model."""
    collections.writable(request.db, request.viewer, project["entity_name"], project["name"], collection["name"])
    action, tag = _tag_form(request)
    if action == "add-tag":
        tags.add_to_collection(request.db, collection["id"], [tag])
        return Redirect(request.address, f"Tag {tag} added.")
    tags.take_from_collection(request.db, collection["id"], [tag])
    return Redirect(request.address, f"Tag {tag} removed.")


def _tag_form(request: PageRequest) -> tuple[str, str]:
    action = request.form.get("do", "")
    if action not in ("add-tag", "drop-tag"):
        raise BadInput(f"'{action}' is nothing that this page can do.")
    return action, request.form.get("tag", "").strip()


def _change_alias(request: PageRequest, membership: Row) -> str:
    """Moves or removes an alias, as the SDK would. Returns a sentence about what was done."""
    db, viewer = request.db, request.viewer
    alias, version = request.form.get("alias", "").strip(), memberships.version(membership)
    if request.form["do"] == "drop-alias":
        memberships.drop_alias(db, viewer, membership, alias)
        return f"{alias} was taken from {version}."
    holders = memberships.aliases_of_collection(db, membership["collection_id"])
    holder = next((row for row in holders if row["name"] == alias), None)
    memberships.move_alias(db, viewer, membership, alias)
    if holder is None:
        return f"{alias} is on {version} now."
    before = f"v{db.value('select version_index from membership where id = :id', id=holder['membership_id'])}"
    return f"{alias} was on {version} already." if before == version else f"{alias} moved from {before} to {version}."
