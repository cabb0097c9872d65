"""Projects, and their fields that lead to runs and artifacts."""

from wandb_registry.graphql.engine import paging
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model import access, ids, projects
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import artifacts, collections
from wandb_registry.model.search import registry_search, run_search

query = Fields("Query")
project = Fields("Project")
FIELDS = (query, project)


@query.field("project")
@query.field("model")
def resolve_project(_, info, name=None, entity_name=None):
    return access.find_project(info.context.db, info.context.viewer, entity_name, name or projects.UNNAMED)


@query.field("models")
def resolve_projects(_, info, entity_name=None, first=None, after=None):
    context = info.context
    entity = access.find_entity(context.db, context.viewer, entity_name)
    if entity is None:
        return paging.of_list([])
    return paging.connection(first, after, lambda limit, offset: projects.page(context.db, entity["id"], limit, offset))


@project.field("id")
def resolve_id(row, info):
    return ids.encode("Project", row["id"])


@project.field("internalId")
def resolve_internal_id(row, info):
    return ids.encode("ProjectInternalId", row["id"])


@project.field("entity")
def resolve_entity(row, info):
    return access.entity_by_id(info.context.db, row["entity_id"])


@project.field("isBenchmark")
def resolve_is_benchmark(row, info):
    return False


@project.field("readOnly")
def resolve_read_only(row, info):
    return access.project_role(info.context.db, info.context.viewer, row) < Role.MEMBER


@project.field("user")
def resolve_user(row, info):
    return users.by_id(info.context.db, row["user_id"]) if row["user_id"] else None


@project.field("allowAllArtifactTypesInRegistry")
def resolve_allow_all_types(row, info):
    return bool(row["allow_all_types"])


# ---- runs ----


@project.field("run")
def resolve_run(row, info, name, desc=None):
    return access.find_run(info.context.db, row, name)


@project.field("bucket")
def resolve_bucket(row, info, name, missing_ok=None, desc=None):
    return access.find_run(info.context.db, row, name)


@project.field("runs")
def resolve_runs(row, info, filters=None, first=None, after=None, order=None):
    db = info.context.db
    return paging.connection(
        first,
        after,
        lambda limit, offset: run_search.page(db, row["id"], filters, [order] if order else [], limit, offset),
        lambda: run_search.count(db, row["id"], filters),
    )


@project.field("runCount")
def resolve_run_count(row, info, filters=None):
    return run_search.count(info.context.db, row["id"], filters)


# ---- artifacts ----


@project.field("artifact")
def resolve_artifact(row, info, name, enable_tracking=None):
    db = info.context.db
    if named := artifacts.named(db, row, name):
        _, membership = named
        return artifacts.by_id(db, membership["artifact_id"])
    collection = collections.find(db, row["id"], name.partition(":")[0])
    return artifacts.newest_of_any_state(db, collection["id"]) if collection else None


@project.field("artifactCollectionMembership")
def resolve_membership(row, info, name):
    _, membership = artifacts.named(info.context.db, row, name) or (None, None)
    return membership


@project.field("artifactCollection")
def resolve_collection(row, info, name):
    return collections.find(info.context.db, row["id"], name)


@project.field("artifactCollections")
def resolve_collections(row, info, filters=None, first=None, after=None, order=None):
    return paging.of_list(registry_search.collections(info.context.db, [row["id"]], filters, order), first, after)


@project.field("artifactType")
def resolve_type(row, info, name):
    return collections.find_type(info.context.db, row["id"], name)


@project.field("artifactTypes")
def resolve_types(row, info, first=None, after=None, include_all=None):
    return paging.of_list(collections.types(info.context.db, row["id"]), first, after)
