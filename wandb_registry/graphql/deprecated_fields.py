"""Fields that only SDKs before 0.31 ask for: earlier names of others."""

from wandb_registry.graphql.artifacts import resolve_files
from wandb_registry.graphql.collections import resolve_collection_of_type
from wandb_registry.graphql.engine import paging
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model import access
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import artifacts, collections
from wandb_registry.model.search import run_search

project = Fields("Project")
artifact = Fields("Artifact")
artifact_type = Fields("ArtifactType")
mutation = Fields("Mutation")
FIELDS = (project, artifact, artifact_type, mutation)


@project.field("buckets")
def resolve_buckets(row, info, first=None, after=None):
    db = info.context.db
    return paging.connection(
        first, after, lambda limit, offset: run_search.page(db, row["id"], None, ["-created_at"], limit, offset)
    )


@artifact.field("files")
def resolve_artifact_files(row, info, names=None, first=None, after=None):
    return resolve_files({"artifact_id": row["id"]}, info, names, first, after)


@artifact_type.field("artifact")
def resolve_artifact_of_type(row, info, name):
    db = info.context.db
    named = artifacts.named(db, {"id": row["project_id"]}, name) if info.context.may_read(row["project_id"]) else None
    if named is None:
        return None
    collection, membership = named
    return artifacts.by_id(db, membership["artifact_id"]) if collection["type_id"] == row["id"] else None


@artifact_type.field("artifactSequence")
def resolve_sequence_of_type(row, info, name):
    collection = resolve_collection_of_type(row, info, name)
    return collection if collection and collection["kind"] == "SEQUENCE" else None


@mutation.field("createArtifactType")
def create_artifact_type(_, info, input):
    context = info.context
    where = access.project(context.db, context.viewer, input["entity_name"], input["project_name"], Role.MEMBER)
    return {"artifact_type": collections.ensure_type(context.db, where, input["name"], input.get("description"))}
