"""Artifact collections and types: `Project.artifactCollection` and what hangs beneath it."""

from wandb_registry.graphql.engine import batches, paging
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model import access, ids, projects
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import artifacts, collections, memberships, references, tags
from wandb_registry.model.search import registry_search

query = Fields("Query")
artifact_type = Fields("ArtifactType")
sequence = Fields("ArtifactSequence")
portfolio = Fields("ArtifactPortfolio")
mutation = Fields("Mutation")
FIELDS = (query, artifact_type, sequence, portfolio, mutation)


@query.field("artifactCollection")
def resolve_by_id(_, info, id):
    return _collection(info, id, Role.VIEWER)


# ---- types ----


@artifact_type.field("id")
def resolve_type_id(row, info):
    return ids.encode("ArtifactType", row["id"])


@artifact_type.field("artifactCollection")
def resolve_collection_of_type(row, info, name):
    found = collections.find(info.context.db, row["project_id"], name) if _open(row, info) else None
    return found if found and found["type_id"] == row["id"] else None


@artifact_type.field("artifactCollections")
def resolve_collections_of_type(row, info, filters=None, first=None, after=None, order=None):
    places = [row["project_id"]] if _open(row, info) else []
    found = registry_search.collections(info.context.db, places, filters, order, type_id=row["id"])
    return paging.of_list(found, first, after)


# ---- both kinds ----


@sequence.field("id")
@portfolio.field("id")
def resolve_id(row, info):
    return ids.encode(KINDS[row["kind"]], row["id"])


@sequence.field("state")
@portfolio.field("state")
def resolve_state(row, info):
    return row.get("state", "READY")


@sequence.field("description")
@portfolio.field("description")
def resolve_description(row, info):
    return row["description"] if _open(row, info) else None


@sequence.field("project")
@portfolio.field("project")
def resolve_project(row, info):
    return projects.by_id(info.context.db, row["project_id"]) if _open(row, info) else None


@sequence.field("defaultArtifactType")
@portfolio.field("defaultArtifactType")
def resolve_type(row, info):
    return collections.type_of(info.context.db, row)


@sequence.field("tags")
@portfolio.field("tags")
def resolve_tags(row, info):
    return paging.of_list(tags.of_collection(info.context.db, row["id"]) if _open(row, info) else [])


@sequence.field("aliases")
@portfolio.field("aliases")
def resolve_aliases(row, info, first=None, after=None):
    found = memberships.aliases_of_collection(info.context.db, row["id"]) if _open(row, info) else []
    return paging.of_list(found, first, after)


@sequence.field("artifacts")
@portfolio.field("artifacts")
def resolve_artifacts(row, info, filters=None, first=None, after=None, order=None):
    db = info.context.db
    if not _open(row, info):
        return paging.of_list([])
    if filters in (None, "", "{}") and not order:  # a page is all that needs to be read
        found = paging.connection(
            first,
            after,
            lambda limit, offset: memberships.page(db, row["id"], limit, offset),
            lambda: memberships.count(db, row["id"]),
        )
    else:
        found = paging.of_list(registry_search.versions(db, [row["id"]], filters, order), first, after)
    places = [edge["node"] for edge in found["edges"]]
    versions = artifacts.by_ids(db, [place["artifact_id"] for place in places])
    nodes = batches.together([versions[place["artifact_id"]] for place in places])
    for edge, place, node in zip(found["edges"], places, nodes, strict=True):
        edge |= {"version": memberships.version(place), "node": node}
    return found


@sequence.field("artifactMembership")
@portfolio.field("artifactMembership")
def resolve_membership(row, info, alias_name):
    if not _open(row, info):
        return None
    db = info.context.db
    return memberships.find(db, row["id"], alias_name) or references.place_of_kept(db, row["id"], alias_name)


# ---- sequences ----


@sequence.field("latestArtifact")
def resolve_latest(row, info):
    membership = memberships.find(info.context.db, row["id"], memberships.LATEST) if _open(row, info) else None
    return artifacts.by_id(info.context.db, membership["artifact_id"]) if membership else None


@sequence.field("digestAlgorithm")
def resolve_digest_algorithm(row, info):
    return "MANIFEST_MD5"


# ---- changes ----


@mutation.field("updateArtifactSequence")
def update_sequence(_, info, input):
    return _update(info, input["artifact_sequence_id"], input)


@mutation.field("updateArtifactPortfolio")
def update_portfolio(_, info, input):
    return _update(info, input["artifact_portfolio_id"], input)


@mutation.field("moveArtifactSequence")
def move_sequence(_, info, input):
    found = _collection(info, input["artifact_sequence_id"], Role.MEMBER)
    name = input["destination_artifact_type_name"]
    return {"artifact_collection": collections.change_type(info.context.db, info.context.viewer, found, name)}


@mutation.field("deleteArtifactSequence")
def delete_sequence(_, info, input):
    return _delete(info, input["artifact_sequence_id"])


@mutation.field("deleteArtifactPortfolio")
def delete_portfolio(_, info, input):
    return _delete(info, input["artifact_portfolio_id"])


@mutation.field("createArtifactCollectionTagAssignments")
def add_tags(_, info, input):
    found = _named(info, input)
    tags.add_to_collection(info.context.db, found["id"], [tag["tag_name"] for tag in input["tags"]])
    return {"tags": tags.of_collection(info.context.db, found["id"])}


@mutation.field("deleteArtifactCollectionTagAssignments")
def drop_tags(_, info, input):
    found = _named(info, input)
    tags.take_from_collection(info.context.db, found["id"], [tag["tag_name"] for tag in input["tags"]])
    return {"success": True}


def _open(row, info) -> bool:
    """Whether the account may look around here. Who came by a link sees the version it leads to, and no other."""
    return info.context.may_read(row["project_id"])


KINDS = {"SEQUENCE": "ArtifactSequence", "PORTFOLIO": "ArtifactPortfolio"}


def type_name(row, info, _type) -> str:
    """Which of the interface's types a collection is."""
    return KINDS[row["kind"]]


def _update(info, text: str, given: dict):
    found = _collection(info, text, Role.MEMBER)
    return {
        "artifact_collection": collections.update(
            info.context.db, info.context.viewer, found, given.get("name"), given.get("description")
        )
    }


def _delete(info, text: str):
    found = _collection(info, text, Role.MEMBER)
    collections.delete(info.context.db, info.context.viewer, [found])
    return {"artifact_collection": found | {"state": "DELETED"}}


def _named(info, given: dict):
    return collections.writable(
        info.context.db,
        info.context.viewer,
        given["entity_name"],
        given["project_name"],
        given["artifact_collection_name"],
    )


def _collection(info, text: str, need: Role):
    return access.collection_by_id(info.context.db, info.context.viewer, ids.decode(text, *KINDS.values()), need)
