"""The forms of the settings. Each is checked by the rules of the API, and is in the activity log."""

from collections.abc import Callable

from wandb_registry.errors import BadInput, Forbidden, NotFound
from wandb_registry.model import access, custom_charts, names
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import roster, teams, users
from wandb_registry.model.artifacts import protected_aliases
from wandb_registry.store import keep_key
from wandb_registry.web import addresses
from wandb_registry.web.forms.undoing import UNDO, done, undone
from wandb_registry.web.settings import page
from wandb_registry.web.views import Page, PageRequest, Redirect


def change(request: PageRequest) -> Redirect | Page:
    """Does what the form asks for. Raises BadInput, and what the model refuses."""
    action = ACTIONS.get(request.form.get("do", ""))
    if action is None:
        raise BadInput(f"'{request.form.get('do', '')}' is nothing that this page can do.")
    return action(request)


def _here(part: str = "") -> str:
    return addresses.at(f"/settings{part}")


# ---- users and keys ----


def _add_user(request: PageRequest) -> Page:
    """Makes an account and its first key, which is shown once."""
    access.needs_registry_admin(request.viewer)
    name = request.form.get("name", "").strip()
    user = users.add_user(request.db, request.viewer, name, None, bool(request.form.get("admin")))
    return _make_key(request, user["id"], name, "first key")


def _set_admin(request: PageRequest) -> Redirect:
    access.needs_registry_admin(request.viewer)
    user = users.user_named(request.db, request.form.get("of", ""))
    admin = request.form.get("role") == "admin"

    def save() -> str:
        users.set_admin(request.db, request.viewer, user, admin)
        return f"{user['username']} is {'an admin' if admin else 'no admin'} of this registry."

    return done(request, _here("#users"), save)


def _remove_user(request: PageRequest) -> Redirect:
    name = request.form.get("of", "")
    _needs_keeper(request, name)
    users.remove_user(request.db, request.viewer, name)
    return Redirect(_here(), f"The account {name} was removed.")


def _new_key(request: PageRequest) -> Page:
    """A key of the viewer, or of another account that the viewer keeps."""
    name = request.form.get("of", "") or request.viewer.username
    if name != request.viewer.username:
        _needs_keeper(request, name)
    label = request.form.get("label", "").strip()[: names.LONGEST]
    last_day = request.form.get("until", "").strip()
    return _make_key(request, users.user_named(request.db, name)["id"], name, label or None, last_day or None)


def _make_key(request: PageRequest, user_id: int, name: str, label: str | None, last_day: str | None = None) -> Page:
    key = users.new_key()
    users.add_key(request.db, user_id, key, label, last_day)
    return page.page(request, {"key": key, "username": name})


def _revoke_key(request: PageRequest) -> Redirect:
    number = request.form.get("of", "")
    key = users.key_by_id(request.db, int(number) if number.isascii() and number.isdigit() and len(number) < 16 else 0)
    if key is None:
        raise NotFound("The API key is not there any more.")
    owner = users.by_id(request.db, key["user_id"])
    if owner["id"] != request.viewer.user_id:
        _needs_keeper(request, owner["username"])
    users.end_key(request.db, request.viewer, key)
    keep_key(request.db, request.store.folder)
    return Redirect(_here("#keys"), f"The key {key['hint']}… of {owner['username']} stopped working.")


def _needs_keeper(request: PageRequest, name: str) -> None:
    """An admin of the registry keeps all accounts, an admin of all its teams a service account. Raises Forbidden.

    With a key of an account one acts in every team that it is in.
    """
    if request.viewer.admin:
        return
    account = next((row for row in roster.accounts(request.db) if row["username"] == name and row["service"]), None)
    if account and account["teams"] and all(_keeps_team(request, team) for team in account["teams"]):
        return
    raise Forbidden(f"'{request.viewer.username}' doesn't keep the account '{name}': an admin of this registry does.")


def _keeps_team(request: PageRequest, name: str) -> bool:
    team = access.find_entity(request.db, request.viewer, name)
    return bool(team) and access.entity_role(request.db, request.viewer, team["id"]) >= Role.ADMIN


# ---- teams and service accounts ----


def _set_role(request: PageRequest) -> Redirect:
    """A role in a team; an empty one takes the account out of it."""
    team = teams.needs_admin(request.db, request.viewer, request.form.get("team", ""))
    user = users.user_named(request.db, request.form.get("of", "").strip())
    role = request.form.get("role", "")
    if role and role not in page.ROLES:
        raise BadInput(f"'{role}' is not a role. Roles are {', '.join(page.ROLES)}.")

    def save() -> str:
        teams.set_team_role(request.db, request.viewer, team, user, role or None)
        return f"{user['username']} {f'is {role} of' if role else 'left'} {team['name']}."

    return done(request, _here("#teams"), save)


def _add_team(request: PageRequest) -> Redirect:
    team = teams.create_team(request.db, request.viewer, request.form.get("team", "").strip(), None)
    return Redirect(_here("#teams"), f"Team {team['name']} was made; {request.viewer.username} is its admin.")


def _add_machine(request: PageRequest) -> Page:
    """Makes a service account of a team, and its first key, which is shown once."""
    team = teams.needs_admin(request.db, request.viewer, request.form.get("team", ""))
    name = f"{team['name']}-{names.slug(request.form.get('name', '').strip(), 'service')}"
    made = teams.add_service_account(request.db, request.viewer, name, None, team["name"])
    return _make_key(request, made["id"], name, "first key")


# ---- protected aliases ----


def _protect(request: PageRequest) -> Redirect:
    entity, _, name = request.form.get("project", "").partition("/")
    project = access.project(request.db, request.viewer, entity, name, Role.ADMIN)
    wanted = [alias.strip() for alias in request.form.get("aliases", "").split(",") if alias.strip()]

    def save() -> str:
        protected_aliases.replace(request.db, request.viewer, project, wanted)
        return f"{entity}/{name}: {', '.join(wanted) or 'no alias'} can be moved by admins alone."

    return done(request, _here("#protected"), save)


# ---- custom charts ----


def _delete_chart(request: PageRequest) -> Redirect:
    path = request.form.get("of", "")
    custom_charts.delete(request.db, request.viewer, path)
    return Redirect(_here("#charts"), f"The custom chart {path} was deleted.")


def _undo(request: PageRequest) -> Redirect:
    return Redirect(_here(), undone(request, lambda event: event["action"] in ("member", "protect", users.SET_ADMIN)))


ACTIONS: dict[str, Callable[[PageRequest], Redirect | Page]] = {
    "add-user": _add_user,
    "set-admin": _set_admin,
    "remove-user": _remove_user,
    "new-key": _new_key,
    "revoke-key": _revoke_key,
    "set-role": _set_role,
    "add-team": _add_team,
    "add-machine": _add_machine,
    "protect": _protect,
    "delete-chart": _delete_chart,
    UNDO: _undo,
}
