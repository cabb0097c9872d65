"""Accounts: their keys, their default entity, new ones, and the charts that they specify."""

from wandb_registry.errors import BadInput, NotFound
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model import access, custom_charts, ids, names
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import teams, users
from wandb_registry.store import keep_key

mutation = Fields("Mutation")
FIELDS = (mutation,)


@mutation.field("generateApiKey")
def generate_key(_, info, input):
    """Makes an API key for the viewer. Only this response shows the whole key."""
    access.needs_lasting(info.context.viewer)
    key = users.new_key()
    made = users.add_key(info.context.db, info.context.viewer.user_id, key, input.get("description"))
    return {"api_key": made | {"shown_once": key}}


@mutation.field("deleteApiKey")
def delete_key(_, info, input):
    db, viewer = info.context.db, info.context.viewer
    key = users.key_by_id(db, ids.decode(input["id"], "ApiKey"))
    if key is None or key["user_id"] != viewer.user_id:
        raise NotFound("The API key was not found among yours.")
    users.end_key(db, viewer, key)
    keep_key(db, info.context.store.folder)
    return {"success": True}


@mutation.field("updateUser")
def update_user(_, info, input):
    """Changes the viewer's default entity, to which runs go that name none."""
    db, viewer = info.context.db, info.context.viewer
    if not input.get("default_entity"):
        raise BadInput("Only the default entity of an account can be changed.")
    chosen = access.entity(db, viewer, input["default_entity"], Role.VIEWER)
    users.set_default_entity(db, viewer.user_id, chosen["id"])
    return {"user": users.by_id(db, viewer.user_id)}


@mutation.field("createUser")
def create_user(_, info, input):
    """Makes an account, named after its e-mail address. Its first key comes from the command line."""
    viewer = info.context.viewer
    access.needs_registry_admin(viewer)
    db, email, admin = info.context.db, input["email"], bool(input.get("admin"))
    name, at, _ = email.partition("@")
    return {"user": users.add_user(db, viewer, name, None, admin, email=email if at else None)}


@mutation.field("createServiceAccount")
def create_service_account(_, info, input):
    """Makes a machine's account in a team. Its first key comes from the command line."""
    db = info.context.db
    team = teams.needs_admin(db, info.context.viewer, input["entity_name"])
    name = f"{team['name']}-{names.slug(input['description'], 'service')}"
    return {"user": teams.add_service_account(db, info.context.viewer, name, None, team["name"])}


@mutation.field("createCustomChart")
def create_custom_chart(_, info, input):
    """Makes a chart, or replaces the one of its name. The SDK takes its id for the name that runs give it."""
    return {"chart": {"id": custom_charts.save(info.context.db, info.context.viewer, input["entity"], input)}}
