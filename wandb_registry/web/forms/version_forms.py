"""The forms of a version's page and of a registered model's: aliases, tags, description, links; to unlink or delete."""

from collections.abc import Callable
from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.model import access, projects, promotion_requests
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import artifacts, collections, links, memberships, protected_aliases, tags
from wandb_registry.web import addresses, lookups
from wandb_registry.web.forms.undoing import UNDO, done, undone
from wandb_registry.web.views import PageRequest, Redirect

Row = dict[str, Any]
Place = tuple[Row, Row, Row]  # project, collection and membership of the page


def change_version(request: PageRequest, project: Row, collection: Row, alias: str) -> Redirect:
    """Does what a form of a version's page asks for. Raises what the model refuses."""
    action = VERSION_ACTIONS.get(request.form.get("do", ""))
    if action is None:
        raise _unknown(request)
    return action(request, (project, collection, lookups.find_membership(request, collection, alias)))


def change_collection(request: PageRequest, project: Row, collection: Row) -> Redirect:
    """Adds or removes a tag of a registered model, or takes back what was done to it."""
    collections.writable(request.db, request.viewer, project["entity_name"], project["name"], collection["name"])
    action, tag = request.form.get("do", ""), request.form.get("tag", "").strip()
    if action == UNDO:
        return Redirect(request.address, undone(request, lambda event: event["collection_id"] == collection["id"]))
    change = {"add-tag": tags.add_to_collection, "drop-tag": tags.take_from_collection}.get(action)
    if change is None:
        raise _unknown(request)

    def tag_it() -> str:
        change(request.db, request.viewer, collection["id"], [tag])
        return f"Tag {tag} {'added' if action == 'add-tag' else 'removed'}."

    return done(request, request.address, tag_it)


def _unknown(request: PageRequest) -> BadInput:
    return BadInput(f"'{request.form.get('do', '')}' is nothing that this page can do.")


def _alias(request: PageRequest, place: Place) -> Redirect:
    project, collection, membership = place
    collections.writable(request.db, request.viewer, project["entity_name"], project["name"], collection["name"])
    if request.form["do"] == "add-alias" and protected_aliases.rule(request.db, collection["id"], _name(request)):
        return done(request, request.address, lambda: _ask_for_alias(request, membership))
    return done(request, request.address, lambda: _change_alias(request, membership))


def _name(request: PageRequest) -> str:
    return request.form.get("alias", "").strip()


def _ask_for_alias(request: PageRequest, membership: Row) -> str:
    """Asks for an alias that takes a second person's yes."""
    alias = _name(request)
    promotion_requests.ask(request.db, request.viewer, membership, alias, "")
    return f"{alias} on {memberships.version(membership)} waits for a second person's yes."


def _change_alias(request: PageRequest, membership: Row) -> str:
    """Moves or removes an alias, as the SDK would. Returns a sentence about what was done."""
    db, viewer = request.db, request.viewer
    alias, version = _name(request), memberships.version(membership)
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


def _artifact(request: PageRequest, place: Place) -> Row:
    """The version, if the viewer may change it."""
    return access.artifact(request.db, request.viewer, place[2]["artifact_id"], Role.MEMBER)


def _tag(request: PageRequest, place: Place) -> Redirect:
    artifact, tag = _artifact(request, place), request.form.get("tag", "").strip()
    adds = request.form["do"] == "add-tag"

    def change() -> str:
        (tags.add_to_artifact if adds else tags.take_from_artifact)(request.db, request.viewer, artifact, [tag])
        return f"Tag {tag} {'added' if adds else 'removed'}."

    return done(request, request.address, change)


def _describe(request: PageRequest, place: Place) -> Redirect:
    artifact = _artifact(request, place)

    def change() -> str:
        text = request.form.get("description", "").strip().replace("\r\n", "\n")
        artifacts.update(request.db, request.viewer, artifact, {"description": text})
        return "Saved."

    return done(request, request.address, change)


def _link(request: PageRequest, place: Place) -> Redirect:
    """Links the version to a registered model: NAME in the entity's model registry, or ENTITY/PROJECT/NAME."""
    artifact = access.artifact(request.db, request.viewer, place[2]["artifact_id"], Role.VIEWER)
    where = request.form.get("model", "").strip().split("/")
    if len(where) not in (1, 3):
        raise BadInput("Name the registered model as NAME, or as ENTITY/PROJECT/NAME.")
    entity, project, name = where if len(where) == 3 else (place[0]["entity_name"], addresses.MODEL_REGISTRY, *where)

    def change() -> str:
        membership = links.link(request.db, request.viewer, artifact, entity, project, name, [])
        return f"It is {name}:{memberships.version(membership)} now."

    return done(request, request.address, change)


def _unlink(request: PageRequest, place: Place) -> Redirect:
    project, collection, membership = place
    writable = access.collection_by_id(request.db, request.viewer, collection["id"], Role.MEMBER)
    links.unlink(request.db, request.viewer, writable, membership["artifact_id"])
    name = f"{collection['name']}:{memberships.version(membership)}"
    return Redirect(addresses.page_of_collection(collection, project, ""), f"{name} was unlinked.")


def _delete(request: PageRequest, place: Place) -> Redirect:
    artifact = _artifact(request, place)
    own = collections.by_id(request.db, artifact["collection_id"])
    artifacts.delete(request.db, request.viewer, artifact, with_aliases=True)
    type_name = collections.type_of(request.db, own)["name"]
    address = addresses.page_of_collection(own, projects.by_id(request.db, own["project_id"]), type_name)
    return Redirect(address, f"{own['name']}:v{artifact['version_index']} was deleted.")


def _undo(request: PageRequest, place: Place) -> Redirect:
    rows = memberships.of_artifact(request.db, place[2]["artifact_id"])
    of_page = {row["collection_id"] for row in rows}
    return Redirect(request.address, undone(request, lambda event: event["collection_id"] in of_page))


VERSION_ACTIONS: dict[str, Callable[[PageRequest, Place], Redirect]] = {
    "add-alias": _alias,
    "drop-alias": _alias,
    "add-tag": _tag,
    "drop-tag": _tag,
    "describe": _describe,
    "link": _link,
    "unlink": _unlink,
    "delete": _delete,
    UNDO: _undo,
}
