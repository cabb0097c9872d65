"""Artifact collections and types: `Project.artifactCollection` and what hangs beneath it."""

from wandb_registry.graphql.engine import dataloader, paging
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.graphql.engine.limits import refuse
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
    collection = collections.find(info.context.db, row["project_id"], name) if _open(row, info) else None
    return collection if collection and collection["type_id"] == row["id"] else None


@artifact_type.field("artifactCollections")
def resolve_collections_of_type(row, info, filters=None, first=None, after=None, order=None):
    project_ids = [row["project_id"]] if _open(row, info) else []
    rows = registry_search.collections(info.context.db, project_ids, filters, order, type_id=row["id"])
    return paging.of_list(rows, first, after)


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
    aliases = memberships.aliases_of_collection(info.context.db, row["id"]) if _open(row, info) else []
    return paging.of_list(aliases, first, after)


@sequence.field("artifacts")
@portfolio.field("artifacts")
def resolve_artifacts(row, info, filters=None, first=None, after=None, order=None):
    db = info.context.db
    if not _open(row, info):
        return paging.of_list([])
    if filters in (None, "", "{}") and not order:  # only this page needs to be read
        page = paging.connection(
            first,
            after,
            lambda limit, offset: memberships.page(db, row["id"], limit, offset),
            lambda: memberships.count(db, row["id"]),
        )
    else:
        page = paging.of_list(registry_search.versions(db, [row["id"]], filters, order), first, after)
    rows = [edge["node"] for edge in page["edges"]]
    versions = artifacts.by_ids(db, [membership["artifact_id"] for membership in rows])
    nodes = dataloader.attach([versions[membership["artifact_id"]] for membership in rows])
    for edge, membership, node in zip(page["edges"], rows, nodes, strict=True):
        edge |= {"version": memberships.version(membership), "node": node}
    return page


@sequence.field("artifactMembership")
@portfolio.field("artifactMembership")
def resolve_membership(row, info, alias_name):
    if not _open(row, info):
        return None
    db = info.context.db
    return memberships.find(db, row["id"], alias_name) or references.membership_of_deleted(db, row["id"], alias_name)


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
    collection = _collection(info, input["artifact_sequence_id"], Role.MEMBER)
    name = input["destination_artifact_type_name"]
    return {"artifact_collection": collections.change_type(info.context.db, info.context.viewer, collection, name)}


@mutation.field("deleteArtifactSequence")
def delete_sequence(_, info, input):
    return _delete(info, input["artifact_sequence_id"])


@mutation.field("deleteArtifactPortfolio")
def delete_portfolio(_, info, input):
    return _delete(info, input["artifact_portfolio_id"])


@mutation.field("createArtifactCollectionTagAssignments")
def add_tags(_, info, input):
    collection = _named(info, input)
    for tag in input["tags"]:
        refuse(tag, "a tag", "tag_category_name", "attributes")
    named = [tag["tag_name"] for tag in input["tags"]]
    tags.add_to_collection(info.context.db, info.context.viewer, collection["id"], named)
    return {"tags": tags.of_collection(info.context.db, collection["id"])}


@mutation.field("deleteArtifactCollectionTagAssignments")
def drop_tags(_, info, input):
    collection = _named(info, input)
    tags.take_from_collection(
        info.context.db, info.context.viewer, collection["id"], [tag["tag_name"] for tag in input["tags"]]
    )
    return {"success": True}


def _open(row, info) -> bool:
    """Whether the viewer may read the project. A link to a version shows nothing else of the version's project."""
    return info.context.may_read(row["project_id"])


KINDS = {"SEQUENCE": "ArtifactSequence", "PORTFOLIO": "ArtifactPortfolio"}


def type_name(row, info, _type) -> str:
    """Which of the interface's types a collection is."""
    return KINDS[row["kind"]]


def _update(info, text: str, given: dict):
    collection = _collection(info, text, Role.MEMBER)
    return {
        "artifact_collection": collections.update(
            info.context.db, info.context.viewer, collection, given.get("name"), given.get("description")
        )
    }


def _delete(info, text: str):
    collection = _collection(info, text, Role.MEMBER)
    collections.delete(info.context.db, info.context.viewer, [collection])
    return {"artifact_collection": collection | {"state": "DELETED"}}


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
