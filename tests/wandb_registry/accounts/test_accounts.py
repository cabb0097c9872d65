"""The commands that keep accounts, beside a running server."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from wandb.errors import AuthenticationError

from tests.wandb_registry.conftest import Account, Registry, command, records
from wandb_registry import daemon


def test_a_new_users_key_is_printed_once_and_works(registry: Registry, tmp_path: Path):
    said = registry.command("user", "add", "newcomer").stdout.splitlines()
    assert said[0] == "User newcomer added."
    key = said[1].removeprefix("API key, shown only now: ")
    assert Account(registry.url, "newcomer", key).api().viewer.username == "newcomer"
    assert registry.command("backup", str(tmp_path / "copy")).returncode == 0
    with sqlite3.connect(tmp_path / "copy/registry.db") as db:
        assert key not in "\n".join(db.iterdump())


def test_a_user_that_is_made_by_an_address_is_found_by_it(registry: Registry):
    """The SDK makes users by their e-mail address, which the registry replaced by one of its own."""
    made = registry.api().create_user("dora@example.com")
    assert made.email == "dora@example.com"
    assert [user.username for user in registry.api().users("dora@example.com")] == ["dora"]
    assert registry.api().create_team("team-of-dora").invite("dora@example.com") is True
    assert "dora" in registry.command("team", "list").stdout


def test_a_removed_users_key_stops_working(registry: Registry):
    leaver = registry.user("leaver")
    assert leaver.api().viewer.username == "leaver"
    assert registry.command("user", "rm", "leaver").stdout == "User leaver removed.\n"
    with pytest.raises(AuthenticationError):
        leaver.api().runs("p")


def test_a_team_shares_what_its_members_log(registry: Registry):
    ann, bob = registry.user("ann"), registry.user("bob")
    assert registry.command("org", "add", "lab", "--admin", "ann").returncode == 0
    assert registry.command("team", "add", "vision", "--org", "lab", "--member", "ann").returncode == 0
    mutation = 'mutation U { upsertBucket(input: {entityName: "vision", modelName: "p", name: "r"}) { inserted } }'
    assert ann.ask(mutation).status == 200
    assert bob.ask(mutation).status == 404
    assert registry.command("team", "add", "vision", "--org", "lab", "--member", "bob").returncode == 0
    assert bob.ask(mutation).json() == {"data": {"upsertBucket": {"inserted": False}}}
    teams = [line.split() for line in registry.command("team", "list").stdout.splitlines()]
    assert ["vision", "lab", "ann,", "bob"] in teams


def test_a_viewer_of_an_organization_sees_its_registries_and_changes_nothing(registry: Registry):
    boss, guest = registry.user("boss"), registry.user("guest")
    registry.command("org", "add", "firm", "--admin", "boss")
    registry.command("org", "add-member", "firm", "guest", "--role", "viewer")
    make = """
    mutation Make($description: String) { upsertModel(input: {entityName: "firm_registry",
      name: "wandb-registry-models", description: $description}) { inserted } }
    """
    assert boss.ask(make, description="ours").json() == {"data": {"upsertModel": {"inserted": True}}}
    look = '{ project(entityName: "firm_registry", name: "wandb-registry-models") { description } }'
    assert guest.ask(look).json() == {"data": {"project": {"description": "ours"}}}
    refused = guest.ask(make, description="mine")
    assert (refused.status, refused.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
    assert boss.ask(look).json() == {"data": {"project": {"description": "ours"}}}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("user", "add", "local"), "The name 'local' is taken by another user, team or organization, or was once."),
        (("user", "add", "short", "--api-key", "short"), "An API key has at least 40 printable characters"),
        (("user", "add", "no spaces"), "'no spaces' can't be the name of an account"),
        (("user", "rm", "nobody"), "There is no user 'nobody'."),
        (("user", "rm", "root"), "'root' runs this registry"),
        (("org", "rm", "local-org"), "'local-org' is the registry's own organization"),
        (("org", "add", "new", "--admin", "nobody"), "There is no user 'nobody'."),
        (("team", "add", "new", "--org", "nowhere", "--member", "root"), "There is no organization 'nowhere'."),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(registry: Registry, arguments: tuple[str, ...], said: str):
    done = registry.command(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"wandb-registry: {said}")
    assert done.stderr.count("\n") == 1


def test_a_wrong_question_exits_with_2(registry: Registry):
    assert registry.command("org", "add-member", "lab", "ann", "--role", "king").returncode == 2
    assert registry.command("user", "add", "ann", "--service", "local", "--admin").returncode == 2
    assert registry.command("serve", "--port", "99999").returncode == 2


# The SDK got four characters of the new key, and nobody could ever learn the rest.
def test_a_key_that_the_sdk_makes_is_handed_out_once(registry: Registry):
    first = registry.user("keymaker")
    viewer = first.api().viewer
    made = viewer.generate_api_key("for the cluster")
    assert made
    second = Account(registry.url, "keymaker", made)
    assert second.api().viewer.username == "keymaker"
    assert made not in second.api().viewer.api_keys
    assert viewer.delete_api_key(made)
    assert second.ask("{viewer{username}}").status == 401


def test_a_key_that_was_taken_back_stops_working_and_the_others_go_on(registry: Registry):
    first = registry.user("keyholder")
    made = registry.command("user", "key", "keyholder").stdout
    second = Account(registry.url, "keyholder", made.removeprefix("API key of keyholder, shown only now: ").strip())
    assert second.api().viewer.username == "keyholder"
    browser = registry.send("POST", "/login", f"key={first.key}".encode(), signed_in=False).headers["set-cookie"]
    home = {"headers": {"Cookie": browser.partition(";")[0]}, "signed_in": False}
    assert registry.send("GET", "/", **home).status == 200
    assert "Name the first 4" in registry.command("user", "key", "keyholder", "--revoke", first.key[:-1] + "?").stderr
    assert "Name the first 4 characters" in registry.command("user", "key", "keyholder", "--revoke", "nope").stderr
    assert registry.command("user", "key", "keyholder", "--revoke", first.key[:4]).returncode == 0
    assert first.ask("{ viewer { id } }").status == 401
    assert registry.send("GET", "/", **home).status == 303, "nor does what it had signed in"
    assert second.ask("{ viewer { id } }").status == 200


def test_a_key_works_until_its_last_day_and_then_says_so(registry: Registry):
    registry.user("tempguest")
    today = datetime.now(UTC).date()
    made = registry.command("user", "key", "tempguest", "--until", today.isoformat()).stdout
    ends = Account(registry.url, "tempguest", made.removeprefix("API key of tempguest, shown only now: ").strip())
    assert ends.api().viewer.username == "tempguest", "it works on its last day"
    assert f"(until {today})" in registry.command("user", "list").stdout
    with records(registry.store) as db:
        db.execute("update api_key set last_day = :day where hint = :hint", {"day": "2026-01-31", "hint": ends.key[:4]})
    sentence = f"The API key {ends.key[:4]}… of 'tempguest' worked until 2026-01-31."
    refused = ends.ask("{ viewer { id } }")
    assert refused.status == 401
    assert sentence in refused.text
    page = registry.send("POST", "/login", f"key={ends.key}".encode(), signed_in=False)
    assert (page.status, sentence.partition("'")[0] in page.text) == (403, True)
    assert "(ended 2026-01-31)" in registry.command("user", "list").stdout
    # What the sentence names
    again = registry.command("user", "key", "tempguest").stdout.rpartition(" ")[2].strip()
    assert Account(registry.url, "tempguest", again).ask("{ viewer { id } }").status == 200
    for day, why in (("2026-01-31", "that day is over"), ("soon", "is not a day")):
        refusal = registry.command("user", "key", "tempguest", "--until", day)
        assert (refusal.returncode, why in refusal.stderr) == (1, True), refusal.stderr


def test_a_browser_is_signed_in_no_longer_than_its_key_works(registry: Registry):
    """A session outlived the last day of the key that it was made with by a month."""
    registry.user("daytripper")
    today = datetime.now(UTC).date().isoformat()
    made = registry.command("user", "key", "daytripper", "--until", today).stdout
    ends = Account(registry.url, "daytripper", made.rpartition(" ")[2].strip())
    token = ends.send("POST", "/login/token").json()["token"]
    for answer in (
        registry.send("POST", "/login", f"key={ends.key}".encode(), signed_in=False),
        registry.send("GET", f"/login?token={token}", signed_in=False),
    ):
        left = re.search(r"Max-Age=(\d+)", answer.headers["set-cookie"])
        assert left
        assert int(left[1]) <= 24 * 3600
    longer = registry.send("POST", "/login", f"key={registry.key}".encode(), signed_in=False)
    assert "Max-Age=2592000" in longer.headers["set-cookie"]


def test_who_runs_the_registry_can_take_back_the_key_that_it_runs_by(store: Path):
    """It could not be served any more: the key in its folder opened nothing."""
    asked = "{ viewer { username apiKeys { edges { node { id } } } } }"
    delete = "mutation D($id: String!) { deleteApiKey(input: {id: $id}) { success } }"

    def as_found() -> Account:
        server = daemon.ensure(store)
        return Account(server.url, server.entity, server.api_key)

    first = as_found()
    viewer = first.ask(asked).json()["data"]["viewer"]
    revoked = command(store, "user", "key", viewer["username"], "--revoke", first.key)
    assert (revoked.returncode, first.ask(asked).status) == (0, 401)
    second = as_found()
    [edge] = second.ask(asked).json()["data"]["viewer"]["apiKeys"]["edges"]
    assert second.ask(delete, id=edge["node"]["id"]).status == 200
    assert (second.ask(asked).status, as_found().ask(asked).status) == (401, 200)


def test_a_service_account_logs_to_its_team(registry: Registry):
    said = registry.command("user", "add", "robot", "--service", "local").stdout
    robot = Account(registry.url, "local", said.rpartition(": ")[2].strip())
    start = 'mutation U { upsertBucket(input: {modelName: "robots", name: "r"}) { bucket { project { entityName } } } }'
    assert robot.ask(start).json()["data"]["upsertBucket"]["bucket"]["project"] == {"entityName": "local"}
    made = registry.api().team("local").create_service_account("a cron job")
    assert made, "the SDK takes the last member for it, and was given the last by name"
    assert (made.username, made.account_type) == ("local-a-cron-job", "SERVICE")
    for machine in ("robot", made.username):
        assert registry.command("user", "rm", machine).returncode == 0


def test_who_leaves_an_organization_leaves_its_teams(registry: Registry):
    leaver = registry.user("mover")
    for role in ("member", "viewer"):
        registry.command("org", "add", f"house-{role}", "--admin", "mover")
        registry.command("team", "add", f"crew-{role}", "--org", f"house-{role}", "--member", "mover")
    write = 'mutation U($e: String) { upsertBucket(input: {entityName: $e, modelName: "p", name: "r"}) { inserted } }'
    assert leaver.ask(write, e="crew-member").status == 200
    assert registry.command("org", "rm-member", "house-member", "mover").returncode == 0
    assert leaver.ask(write, e="crew-member").status == 404
    assert registry.command("team", "rm-member", "crew-viewer", "mover").returncode == 0
    assert "member crew-viewer mover admin → nothing" in registry.command("log", "crew-viewer").stdout
