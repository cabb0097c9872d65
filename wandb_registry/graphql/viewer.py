"""The viewer, the server's features, and the entities, users and organizations that the viewer belongs to."""

from wandb_registry.graphql.engine import paging
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model import access, ids
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import teams, users
from wandb_registry.model.artifacts import artifacts, registries

query = Fields("Query")
user = Fields("User")
api_key = Fields("ApiKey")
entity = Fields("Entity")
member = Fields("Member")
organization = Fields("Organization")
FIELDS = (query, user, api_key, entity, member, organization)

# Features that the SDK may use. It asks for them once a process, and does without those that are missing.
FEATURES = (
    "ARTIFACT_TAGS",
    "CLIENT_IDS",
    "ARTIFACT_REGISTRY_SEARCH",
    "STRUCTURED_CONSOLE_LOGS",
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILE_DOWNLOAD_HANDLER",
    "USE_ARTIFACT_WITH_ENTITY_AND_PROJECT_INFORMATION",
    "INCLUDE_ARTIFACT_TYPES_IN_REGISTRY_CREATION",
    "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "ARTIFACT_COLLECTIONS_FILTERING_SORTING",
    "LARGE_FILENAMES",
    "ARTIFACT_V2_DOWNLOAD_HANDLER_SUPPORTS_ARTIFACT_ID",
    "MARK_RUN_FILES_UPLOADED",
    "UPDATE_RUN_STATE",
    "FILESTREAM_GZIP",
)


@query.field("viewer")
def resolve_viewer(_, info):
    return users.by_id(info.context.db, info.context.viewer.user_id)


@query.field("serverInfo")
def resolve_server_info(_, info):
    return {
        "features": [{"name": name, "is_enabled": True} for name in FEATURES],
        "cli_version_info": {"min_cli_version": "0.17.0", "max_cli_version": "99.0.0"},
    }


@query.field("users")
def resolve_users(_, info, query=None, first=None, after=None):
    rows = users.search(info.context.db, info.context.viewer, query or "")
    return paging.of_list(rows, first, after)


@query.field("clientIDMapping")
def resolve_client_id_mapping(_, info, client_id):
    artifact = artifacts.of_client_id(info.context.db, client_id)
    if artifact is None or not access.find_artifact(info.context.db, info.context.viewer, artifact["id"]):
        return None
    return {"server_id": ids.encode("Artifact", artifact["id"])}


# ---- users ----


@user.field("id")
def resolve_user_id(row, info):
    return ids.encode("User", row["id"])


@user.field("name")
def resolve_user_name(row, info):
    return row["username"]


@user.field("entity")
def resolve_user_entity(row, info):
    return row["default_entity"]


@user.field("flags")
def resolve_user_flags(row, info):
    return "{}"


@user.field("teams")
def resolve_user_teams(row, info):
    own = access.entity_by_id(info.context.db, row["entity_id"])  # a user's own entity counts as a team
    known = [team for team in teams.teams_of(info.context.db, row["id"]) if _belongs_to(team, info)]
    return paging.of_list([own, *known])


@user.field("organizations")
def resolve_user_organizations(row, info):
    db, viewer = info.context.db, info.context.viewer
    rows = registries.organizations_of_user(db, row["id"])
    return [organization for organization in rows if access.shares_organization(db, viewer, organization["id"])]


@user.field("apiKeys")
def resolve_user_keys(row, info):
    mine = row["id"] == info.context.viewer.user_id
    return paging.of_list(users.keys_of(info.context.db, row["id"]) if mine else [])


@api_key.field("id")
def resolve_key_id(row, info):
    return ids.encode("ApiKey", row["id"])


@api_key.field("name")
def resolve_key_name(row, info):
    """A key's first characters; the whole key in the response to the mutation that makes it."""
    return row.get("shown_once") or row["hint"]


# ---- entities ----


@query.field("entity")
def resolve_entity(_, info, name=None):
    """An entity that the viewer belongs to. For any other name the response is the same, taken or free."""
    row = access.find_entity(info.context.db, info.context.viewer, name)
    return row or {"id": 0, "name": name or "", "kind": "unknown", "organization_id": None}


@entity.field("id")
def resolve_entity_id(row, info):
    return ids.encode("Entity", row["id"])


@entity.field("isTeam")
def resolve_is_team(row, info):
    return row["kind"] == "team"


@entity.field("entityType")
def resolve_entity_type(row, info):
    return row["kind"]


@entity.field("available")
def resolve_available(row, info):
    return row["kind"] == "unknown"


@entity.field("readOnly")
def resolve_read_only(row, info):
    return access.entity_role(info.context.db, info.context.viewer, row["id"]) < Role.MEMBER


@entity.field("defaultAccess")
def resolve_default_access(row, info):
    return "PRIVATE"


@entity.field("privateOnly")
@entity.field("codeSavingEnabled")
def resolve_always(row, info):
    return True


@entity.field("readOnlyAdmin")
@entity.field("isPaid")
@entity.field("xxhashDigestsEnabled")
def resolve_never(row, info):
    return False


@entity.field("storageBytes")
def resolve_storage_bytes(row, info):
    return users.stored_bytes(info.context.db, row["id"]) if _belongs_to(row, info) else 0


@entity.field("members")
def resolve_members(row, info):
    if not _belongs_to(row, info):
        return []
    if row["kind"] != "user":
        return teams.members_of(info.context.db, row["id"])
    return [
        own | {"name": own["username"], "account_type": "USER"}
        for own in [users.of_entity(info.context.db, row["id"])]
        if own
    ]


def _belongs_to(entity, info) -> bool:
    """Whether the viewer belongs to an entity, which fields of other users may lead to."""
    return access.entity_role(info.context.db, info.context.viewer, entity["id"]) > Role.NONE


@member.field("id")
def resolve_member_id(row, info):
    return ids.encode("User", row["id"])


@entity.field("organization")
def resolve_entity_organization(row, info):
    return registries.organization_of(info.context.db, row)


@entity.field("user")
def resolve_entity_user(row, info):
    return users.of_entity(info.context.db, row["id"])


@entity.field("project")
def resolve_entity_project(row, info, name=None):
    return access.find_project(info.context.db, info.context.viewer, row["name"], name)


# ---- organizations ----


@query.field("organization")
def resolve_organization(_, info, name):
    return registries.find_organization(info.context.db, info.context.viewer, name)


@organization.field("id")
def resolve_organization_id(row, info):
    return ids.encode("Organization", row["id"])


@organization.field("orgEntity")
def resolve_org_entity(row, info):
    return registries.entity_of(info.context.db, row)


@organization.field("featureFlags")
def resolve_feature_flags(row, info, ramp_id_type=None):
    return []
