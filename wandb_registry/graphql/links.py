"""The mutations of aliases and links: they make a version `production`, or a registered model."""

from wandb_registry.errors import BadInput
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model import access, ids, projects
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import artifacts, links, memberships

mutation = Fields("Mutation")
FIELDS = (mutation,)


@mutation.field("addAliases")
def add_aliases(_, info, input):
    for membership, alias in _memberships(info, input):
        memberships.move_alias(info.context.db, info.context.viewer, membership, alias)
    return {"success": True}


@mutation.field("deleteAliases")
def delete_aliases(_, info, input):
    for membership, alias in _memberships(info, input):
        memberships.drop_alias(info.context.db, info.context.viewer, membership, alias)
    return {"success": True}


@mutation.field("linkArtifact")
def link_artifact(_, info, input):
    db, viewer = info.context.db, info.context.viewer
    aliases = [alias["alias"] for alias in input.get("aliases") or []]
    membership = links.link(db, viewer, _linked(info, input), *_target(info, input), aliases)
    return {"version_index": membership["version_index"], "artifact_membership": membership}


@mutation.field("unlinkArtifact")
def unlink_artifact(_, info, input):
    db, viewer = info.context.db, info.context.viewer
    number = ids.decode(input["artifact_portfolio_id"], "ArtifactPortfolio", "ArtifactSequence")
    portfolio = access.collection_by_id(db, viewer, number, Role.MEMBER)
    links.unlink(db, viewer, portfolio, ids.decode(input["artifact_id"], "Artifact"))
    return {"success": True}


def _target(info, given: dict) -> tuple[str | None, str | None, str]:
    """Entity, project and name of the collection to link to, which is named or known by its id."""
    db, name = info.context.db, given.get("artifact_portfolio_name")
    if given.get("artifact_portfolio_id"):
        number = ids.decode(given["artifact_portfolio_id"], "ArtifactPortfolio")
        portfolio = access.collection_by_id(db, info.context.viewer, number, Role.MEMBER)
        if name not in (None, "", portfolio["name"]):
            raise BadInput(f"The collection of this id is called '{portfolio['name']}', not '{name}'.")
        project = projects.by_id(db, portfolio["project_id"])
        return project["entity_name"], project["name"], portfolio["name"]
    if not name:
        raise BadInput("A link needs the name of the collection to link to, or its id.")
    return given.get("entity_name"), given.get("project_name"), name


def _linked(info, given: dict):
    if given.get("artifact_id"):
        number = ids.decode(given["artifact_id"], "Artifact")
    else:
        artifact = artifacts.of_client_id(info.context.db, given.get("client_id"))
        number = artifact["id"] if artifact else 0
    return access.artifact(info.context.db, info.context.viewer, number, Role.VIEWER)


def _memberships(info, given: dict):
    number = ids.decode(given["artifact_id"], "Artifact")
    for alias in given["aliases"]:
        where = (alias["entity_name"], alias["project_name"], alias["artifact_collection_name"])
        yield links.writable_membership(info.context.db, info.context.viewer, number, *where), alias["alias"]
