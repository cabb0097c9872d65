"""Registries: made, changed and searched; their members; and the teams that can be members."""

from wandb_registry.graphql.engine import paging
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.graphql.engine.limits import refuse
from wandb_registry.model import access, ids
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import members, teams, users
from wandb_registry.model.artifacts import protected_aliases, registries
from wandb_registry.model.runs import runs
from wandb_registry.model.search import registry_search

entity = Fields("Entity")
organization = Fields("Organization")
project = Fields("Project")
project_member = Fields("ProjectMember")
mutation = Fields("Mutation")
FIELDS = (entity, organization, project, project_member, mutation)


# ---- searches ----


@entity.field("projects")
def resolve_registries(row, info, filters=None, first=None, after=None, order=None):
    return paging.of_list(_registries(row, info, filters, order), first, after)


@entity.field("artifactCollections")
def resolve_collections(
    row, info, project_filters=None, filters=None, collection_types=None, first=None, after=None, order=None
):
    registry_ids = [registry["id"] for registry in _registries(row, info, project_filters)]
    rows = registry_search.collections(info.context.db, registry_ids, filters, order, kinds=collection_types)
    return paging.of_list(rows, first, after)


@entity.field("artifactMemberships")
def resolve_memberships(
    row, info, project_filters=None, collection_filters=None, filters=None, first=None, after=None, order=None
):
    registry_ids = [registry["id"] for registry in _registries(row, info, project_filters)]
    collections = registry_search.collections(info.context.db, registry_ids, collection_filters, None)
    rows = registry_search.versions(info.context.db, [row["id"] for row in collections], filters, order)
    return paging.of_list(rows, first, after)


@organization.field("advancedRegistryFeatures")
def resolve_advanced_features(row, info):
    return {"advanced_search": True}


def _registries(row, info, filters=None, order=None):
    rows = registry_search.registries(info.context.db, row["id"], filters, order)
    return access.visible_projects(info.context.db, info.context.viewer, rows)


# ---- registries ----


@mutation.field("upsertModel")
def upsert_project(_, info, input):
    refuse(input, "a project", "is_benchmark", "is_published", "views", "docker_image", "framework", "owner", "icon")
    refuse(input, "a project", "rate_limits")
    changed, inserted = registries.upsert(info.context.db, info.context.viewer, input)
    return {"project": changed, "model": changed, "inserted": inserted}


@mutation.field("renameProject")
def rename_project(_, info, input):
    names = (input["entity_name"], input["old_project_name"], input["new_project_name"])
    runs.refuse_under_way(info.context.db, info.context.viewer, names[0], names[1])
    renamed = registries.rename(info.context.db, info.context.viewer, *names)
    return {"project": renamed, "model": renamed, "inserted": False}


@mutation.field("deleteModel")
def delete_project(_, info, input):
    registries.delete(info.context.db, info.context.viewer, ids.decode(input["id"], "Project"))
    return {"success": True}


@project.field("protectedAliases")
def resolve_protected_aliases(row, info):
    return protected_aliases.of_project(info.context.db, row["id"])


@mutation.field("updateProtectedAliases")
def update_protected_aliases(_, info, input):
    db, viewer = info.context.db, info.context.viewer
    changed = access.project(db, viewer, input["entity_name"], input["project_name"], Role.ADMIN)
    protected_aliases.replace(db, viewer, changed, input["aliases"])
    return {"project": changed}


# ---- members ----


@project.field("members")
def resolve_members(row, info):
    return [member | {"role": {"name": member["role"]}} for member in members.users(info.context.db, row["id"])]


@project_member.field("id")
def resolve_member_id(row, info):
    return ids.encode("User", row["id"])


@project.field("teamMembers")
def resolve_team_members(row, info):
    rows = members.teams(info.context.db, row["id"])
    return [{"team": team, "role": {"name": team["role"]}} for team in rows]


@mutation.field("createProjectMembers")
def create_members(_, info, input):
    members.add(info.context.db, info.context.viewer, _own_project(info, input), *_members(input))
    return {"success": True}


@mutation.field("deleteProjectMembers")
def delete_members(_, info, input):
    db, viewer, project = info.context.db, info.context.viewer, _own_project(info, input)
    user_ids, team_ids = _members(input)
    for number in user_ids:
        members.set_user(db, viewer, project, number, None)
    for number in team_ids:
        members.set_team(db, viewer, project, number, None)
    return {"success": True}


@mutation.field("updateProjectMember")
def update_member(_, info, input):
    user = ids.decode(input["user_id"], "User")
    members.set_user(
        info.context.db, info.context.viewer, _own_project(info, input), user, input["user_project_role"].lower()
    )
    return {"success": True}


@mutation.field("updateProjectTeamMember")
def update_team_member(_, info, input):
    team = ids.decode(input["team_id"], "Entity")
    members.set_team(
        info.context.db, info.context.viewer, _own_project(info, input), team, input["team_project_role"].lower()
    )
    return {"success": True}


def _own_project(info, given: dict):
    number = ids.decode(given["project_id"], "Project", "ProjectInternalId")
    return access.project_by_id(info.context.db, info.context.viewer, number, Role.ADMIN)


def _members(given: dict) -> tuple[list[int], list[int]]:
    users = [ids.decode(text, "User") for text in given.get("user_ids") or []]
    return users, [ids.decode(text, "Entity") for text in given.get("team_ids") or []]


# ---- teams ----


@mutation.field("createTeam")
def create_team(_, info, input):
    name, admin = input["team_name"], input.get("team_admin_user_name")
    return {"entity": teams.create_team(info.context.db, info.context.viewer, name, admin)}


@mutation.field("createInvite")
def create_invite(_, info, input):
    db, viewer = info.context.db, info.context.viewer
    team = teams.needs_admin(db, viewer, input["entity_name"])
    user = teams.invite(db, viewer, team, input.get("username"), input.get("email"), bool(input.get("admin")))
    invited = {"name": user["username"], "email": user["email"], "created_at": user["created_at"], "to_user": user}
    return {"invite": {"id": ids.encode("Invite", user["id"]), **invited}}


@mutation.field("deleteInvite")
def delete_invite(_, info, input):
    """Removes a member from a team: for this the SDK uses the mutation."""
    db, viewer = info.context.db, info.context.viewer
    team = teams.needs_admin(db, viewer, input.get("entity_name") or "")
    user = users.by_id(db, ids.decode(input.get("id") or "", "User", "Invite"))
    teams.set_team_role(db, viewer, team, user, None)
    return {"success": True}
