"""The page of the settings: what the viewer may keep, and what the own role allows."""

from typing import Any

from wandb_registry.model import access, custom_charts
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import identities, roster, users
from wandb_registry.model.artifacts import protected_aliases
from wandb_registry.web.views import Page, PageRequest

Row = dict[str, Any]
ROLES = ("admin", "member", "viewer")
MAY = {
    "admin": "everything a member may, change members and roles, move protected aliases",
    "member": "read and write runs and artifacts, add aliases and tags, link models",
    "viewer": "read runs and artifacts, and change nothing",
}
UNUSED_DAYS = 90  # after which a key is marked


def show(request: PageRequest) -> Page:
    return page(request)


def page(request: PageRequest, made: Row | None = None) -> Page:
    """The settings; `made` is a key that was just made, with its owner: it is shown once."""
    db, viewer = request.db, request.viewer
    teams = [_team(request, row) for row in roster.teams(db, viewer)]
    kept = {team["name"] for team in teams if team["may_change"]}
    accounts = roster.accounts(db)
    own = next(row for row in accounts if row["id"] == viewer.user_id)
    people = accounts if viewer.admin else []
    machines = [row for row in accounts if row["service"] and (viewer.admin or set() < set(row["teams"]) <= kept)]
    owners = {row["id"] for row in [own, *people, *machines]}
    charts = custom_charts.of_viewer(db, viewer)
    return Page(
        "settings.html",
        {
            "title": "Settings",
            "own": own,
            "made": made,
            "users": [row for row in people if not row["service"]],
            "operator": users.operator(db),
            "teams": teams,
            "kept_teams": sorted(kept),
            "machines": machines,
            "machine_sign_ins": identities.machine_sign_ins(db) if machines else {},
            "keys": [key | {"ended": users.has_ended(key)} for key in roster.keys(db, sorted(owners))],
            "unused_days": UNUSED_DAYS,
            "protected": _protected(request),
            "charts": charts,
            "roles": ROLES,
            "may": MAY,
            "everybody": [row["username"] for row in accounts] if kept else [],
            "admins": [row["username"] for row in accounts if row["admin"]],
            "question": _question(request, accounts, owners, charts),
            "refused": request.refused,
        },
    )


def _team(request: PageRequest, team: Row) -> Row:
    own = roster.role_in_team(request.db, team["id"], request.viewer.user_id)
    role = access.entity_role(request.db, request.viewer, team["id"])
    admins = [row["username"] for row in team["members"] if row["role"] == "admin"]
    return team | {"own": own or role.name.lower(), "may_change": role >= Role.ADMIN, "admins": admins}


def _protected(request: PageRequest) -> list[Row]:
    """The projects of registered models that the viewer may see, with their protected aliases."""
    rows = access.visible_projects(request.db, request.viewer, roster.model_projects(request.db))
    return [
        row
        | {
            "aliases": protected_aliases.of_project(request.db, row["id"]),
            "may_change": access.project_role(request.db, request.viewer, row) >= Role.ADMIN,
        }
        for row in rows
    ]


QUESTIONS = {
    "remove-user": "Remove the account {who}? Its keys and sessions end, its runs stay, its name stays taken.",
    "revoke-key": "Revoke the key {hint}… of {who}? What uses it is refused then, and {who} is signed out everywhere.",
    "delete-chart": "Delete the custom chart {path}? Plots that it draws show their tables then. This can't be undone.",
}


def _question(request: PageRequest, accounts: list[Row], owners: set[int], charts: list[Row]) -> Row | None:
    """What is asked before an account, a key or a chart ends, if the address asks for it and the viewer sees it."""
    what, subject = request.query.get("ask", ""), request.query.get("of", "")
    who = next((row for row in accounts if row["username"] == subject and row["id"] in owners), None)
    key = next((row for row in roster.keys(request.db, sorted(owners)) if str(row["id"]) == subject), None)
    if what == "remove-user" and who:
        return {"do": what, "of": subject, "text": QUESTIONS[what].format(who=subject), "button": "Remove account"}
    if what == "revoke-key" and key:
        text = QUESTIONS[what].format(who=key["username"], hint=key["hint"])
        return {"do": what, "of": subject, "text": text, "button": "Revoke key"}
    if what == "delete-chart" and any(row["path"] == subject and row["may_delete"] for row in charts):
        return {"do": what, "of": subject, "text": QUESTIONS[what].format(path=subject), "button": "Delete chart"}
    return None
