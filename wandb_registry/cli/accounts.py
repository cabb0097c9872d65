"""The commands `user`, `org` and `team`, which manage the accounts of a store."""

import argparse
import io
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any

from wandb_registry.cli import command
from wandb_registry.db.connection import Connection
from wandb_registry.listener import refuse_other_machine
from wandb_registry.model.access import Viewer
from wandb_registry.model.accounts import identities, teams, users
from wandb_registry.store import keep_key, open_store

ROLES = ("admin", "member", "viewer")


def add_to(commands) -> None:
    """Adds `user`, `org` and `team` to the command line."""
    user = _group(commands, "user", "add, remove and list accounts")
    add = _action(user, "add", "make an account and print its API key, unless you bring one", _user_add)
    add.add_argument("name")
    add.add_argument("--api-key", metavar="KEY", help="40 characters or more (default: a new one, printed once)")
    kind = add.add_mutually_exclusive_group()
    kind.add_argument("--admin", action="store_true", help="may see and change everything in this registry")
    kind.add_argument("--service", metavar="TEAM", help="a service account of this team: for machines, not people")
    _action(user, "rm", "end an account: its keys stop working, its runs stay", _user_rm).add_argument("name")
    _action(user, "list", "list all accounts", _user_list)
    key = _action(user, "key", "make another API key, or take one back", _user_key)
    key.add_argument("name")
    key.add_argument("--revoke", metavar="START", help="the first 4 characters of the key to end, or all of it")
    key.add_argument("--until", metavar="DAY", help="its last day, in UTC, as 2027-03-31 (default: it has no end)")
    link = _action(user, "link", "let somebody sign in at a provider as this account", _user_link)
    link.add_argument("name")
    link.add_argument("--issuer", required=True, metavar="URL", help="the provider, as 'serve --openid' names it")
    link.add_argument("--subject", required=True, help="who it is there: the claim 'sub'")

    org = _group(commands, "org", "organizations, which own teams and registries")
    add = _action(org, "add", "make an organization", _org_add)
    add.add_argument("name")
    add.add_argument("--admin", required=True, metavar="USER", help="its first admin")
    add = _action(org, "add-member", "add a user, or change the user's role", _org_add_member)
    add.add_argument("org")
    add.add_argument("user")
    add.add_argument("--role", required=True, choices=ROLES)
    rm = _action(org, "rm-member", "take a user out of an organization and its teams", _org_rm_member)
    rm.add_argument("org")
    rm.add_argument("user")
    _action(org, "rm", "remove an organization that holds no runs or artifacts", _org_rm).add_argument("name")
    _action(org, "list", "list all organizations", _org_list)

    team = _group(commands, "team", "teams, which own projects")
    add = _action(team, "add", "make a team, or add a member to it", _team_add)
    add.add_argument("name")
    add.add_argument("--org", required=True, help="the organization it belongs to")
    add.add_argument("--member", required=True, metavar="USER", help="becomes an admin of the team")
    member = _action(team, "add-member", "add a user, or change the user's role", _team_add_member)
    member.add_argument("team")
    member.add_argument("user")
    member.add_argument("--role", required=True, choices=ROLES)
    rm = _action(team, "rm-member", "take a user out of a team", _team_rm_member)
    rm.add_argument("team")
    rm.add_argument("user")
    _action(team, "list", "list all teams", _team_list)


def _group(commands, name: str, text: str):
    group = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    return group.add_subparsers(title="actions", metavar="ACTION", required=True)


def _action(group, name: str, text: str, run) -> argparse.ArgumentParser:
    return command(group, name, text, lambda folder, options: _in_store(folder, options, run))


def _in_store(folder: Path, options: argparse.Namespace, run) -> None:
    """Runs an action in one transaction. Its output is printed after the commit, when the change is on disk."""
    refuse_other_machine(folder)
    store = open_store(folder)
    output = io.StringIO()
    with closing(store.db), store.db.write() as db, redirect_stdout(output):
        run(db, users.OPERATOR, options)
        keep_key(db, folder)
    print(output.getvalue(), end="")


def _user_add(db: Connection, viewer: Viewer, options: argparse.Namespace) -> None:
    key = options.api_key or users.new_key()
    if options.service:
        teams.add_service_account(db, viewer, options.name, key, options.service)
    else:
        users.add_user(db, viewer, options.name, key, options.admin)
    print(f"User {options.name} added.")
    if not options.api_key:
        print(f"API key, shown only now: {key}")


def _user_rm(db: Connection, viewer: Viewer, options: argparse.Namespace) -> None:
    users.remove_user(db, viewer, options.name)
    print(f"User {options.name} removed.")


def _user_key(db: Connection, _viewer: Viewer, options: argparse.Namespace) -> None:
    user = users.user_named(db, options.name)
    if options.revoke:
        hint = users.revoke_key(db, user, options.revoke)
        print(f"The key of {options.name} that begins with {hint} stopped working.")
        return
    key = users.new_key()
    users.add_key(db, user["id"], key, last_day=options.until)
    print(f"API key of {options.name}, shown only now: {key}")


def _user_link(db: Connection, _viewer: Viewer, options: argparse.Namespace) -> None:
    identities.link(db, options.name, options.issuer, options.subject)
    print(f"{options.name} signs in at {options.issuer}.")


def _user_list(db: Connection, _viewer: Viewer, _options: argparse.Namespace) -> None:
    _table(
        ["user", "default entity", "admin", "keys begin with"],
        [
            [
                user["username"],
                user["default_entity"],
                "yes" if user["admin"] else "",
                ", ".join(_named(key) for key in users.keys_of(db, user["id"])),
            ]
            for user in users.users(db)
        ],
    )


def _named(key: dict[str, Any]) -> str:
    """A key by its first characters, and its last day if it has one."""
    if key["last_day"] is None:
        return key["hint"]
    return f"{key['hint']} ({'ended' if users.has_ended(key) else 'until'} {key['last_day']})"


def _org_add(db: Connection, viewer: Viewer, options: argparse.Namespace) -> None:
    teams.add_organization(db, viewer, options.name, options.admin)
    print(f"Organization {options.name} added.")


def _org_add_member(db: Connection, viewer: Viewer, options: argparse.Namespace) -> None:
    teams.add_organization_member(db, viewer, options.org, options.user, options.role)
    print(f"{options.user} is {options.role} of {options.org}.")


def _org_rm_member(db: Connection, viewer: Viewer, options: argparse.Namespace) -> None:
    teams.remove_organization_member(db, viewer, options.org, options.user)
    print(f"{options.user} is no longer in {options.org}.")


def _org_rm(db: Connection, viewer: Viewer, options: argparse.Namespace) -> None:
    teams.remove_organization(db, viewer, options.name)
    print(f"Organization {options.name} removed.")


def _org_list(db: Connection, _viewer: Viewer, _options: argparse.Namespace) -> None:
    _table(["organization", "members"], [[org["name"], org["members"] or ""] for org in teams.organizations(db)])


def _team_add(db: Connection, viewer: Viewer, options: argparse.Namespace) -> None:
    teams.add_team(db, viewer, options.name, options.org, options.member)
    print(f"{options.member} is in team {options.name} of {options.org}.")


def _team_add_member(db: Connection, viewer: Viewer, options: argparse.Namespace) -> None:
    team, user = teams.team_named(db, options.team), users.user_named(db, options.user)
    teams.set_team_role(db, viewer, team, user, options.role)
    print(f"{options.user} is {options.role} of {options.team}.")


def _team_rm_member(db: Connection, viewer: Viewer, options: argparse.Namespace) -> None:
    team, user = teams.team_named(db, options.team), users.user_named(db, options.user)
    teams.set_team_role(db, viewer, team, user, None)
    print(f"{options.user} is no longer in {options.team}.")


def _team_list(db: Connection, _viewer: Viewer, _options: argparse.Namespace) -> None:
    _table(
        ["team", "organization", "members"],
        [[team["name"], team["organization"], team["members"] or ""] for team in teams.teams(db)],
    )


def _table(head: list[str], rows: list[list[Any]]) -> None:
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
