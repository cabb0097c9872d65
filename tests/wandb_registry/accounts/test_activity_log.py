"""The activity log: who did what, when, and the proof that nobody rewrote it."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from wandb.errors import CommError

from tests.wandb_registry.conftest import Registry, command, drop_guard, embedded, records

PROTECT = """
mutation Protect($aliases: [String!]!) { updateProtectedAliases(input: {entityName: "local",
  projectName: "model-registry", aliases: $aliases}) { project { protectedAliases } } }
"""


def promoted(registry: Registry, name: str, *contents: str) -> None:
    """Logs versions, links each to a registered model of this name, and moves `production` along."""
    with registry.run(f"log-{name}") as run:
        for content in contents:
            version = registry.log_file(run, "weights", content)
            run.link_artifact(version, f"model-registry/{name}", aliases=["production"])


def test_the_log_tells_each_move_of_an_alias_and_the_run_behind_it(registry: Registry):
    promoted(registry, "Told", "one", "two")
    said = registry.command("log", "Told").stdout.splitlines()
    assert [re.sub(r"^\S+  |  \(.*", "", line) for line in said] == [
        "root  linked local/model-registry/Told:v0",
        "root  alias local/model-registry/Told latest nothing → v0",
        "root  alias local/model-registry/Told production nothing → v0",
        "root  linked local/model-registry/Told:v1",
        "root  alias local/model-registry/Told latest v0 → v1",
        "root  alias local/model-registry/Told production v0 → v1",
    ]
    [event] = [json.loads(line) for line in registry.command("log", "Told", "--json").stdout.splitlines()][-1:]
    assert event["source"] == "local/log-Told/weights:v1"
    assert event["run"].startswith("local/log-Told/")


def test_the_log_knows_which_version_was_in_production_at_a_time(registry: Registry):
    promoted(registry, "Timed", "one")
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))
    time.sleep(1.1)
    promoted(registry, "Timed", "two")
    assert "local/model-registry/Timed:v0  production" in registry.command("log", "Timed", "--at", moment).stdout
    assert "local/model-registry/Timed:v1  production" in registry.command("log", "Timed", "--at", "2999-01-01").stdout
    assert "Timed:v1  production" in registry.command("log", "Timed", "--at", "2999-01-01T00:59Z").stdout
    assert registry.command("log", "Timed", "--at", "2000-01-01").stdout == ""
    for nobody in ("Time_", "Nowhere"):
        assert "tells of nothing named" in registry.command("log", nobody).stderr
    assert registry.command("log", "Timed", "--at", "0001-01-01T00:00+05:00").stderr.count("\n") == 1
    assert registry.command("log", "Timed", "--at", "noon").stderr.startswith("wandb-registry: 'noon' is not a time.")


def test_the_log_knows_what_was_in_production_of_a_model_that_is_gone(registry: Registry):
    promoted(registry, "Passing", "one")
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))
    time.sleep(1.1)
    model = registry.api().artifact_collection("model", "local/model-registry/Passing")
    model.name = "Renamed"
    model.save()
    version = registry.api().artifact("model-registry/Renamed:production")
    version.aliases = ["latest"]
    version.save()
    registry.api().artifact_collection("model", "local/model-registry/Renamed").delete()
    said = registry.command("log", "Passing", "--at", moment).stdout
    assert "local/model-registry/Passing:v0  production" in said


def test_what_is_in_production_is_deleted_only_when_the_request_names_it(registry: Registry):
    promoted(registry, "Kept", "one")
    api = registry.api()
    with pytest.raises(CommError, match="'Kept:v0' is 'production'"):
        api.artifact_collection("model", "model-registry/Kept").delete()
    with pytest.raises(CommError, match="'Kept:v0' is 'production'"):
        api.artifact_collection("model", "log-Kept/weights").delete()
    with pytest.raises(CommError, match="'Kept:v0' is 'production'"):
        api.artifact("model-registry/Kept:v0").unlink()
    with pytest.raises(CommError, match="has aliases"):
        api.artifact("log-Kept/weights:v0").delete()
    assert api.artifact("model-registry/Kept:production").version == "v0"
    api.artifact("log-Kept/weights:v0").delete(delete_aliases=True)
    assert not api.artifact_exists("model-registry/Kept:v0")
    assert "unlinked local/model-registry/Kept:v0" in registry.command("log", "Kept").stdout


def test_a_protected_alias_is_moved_by_admins_alone(registry: Registry):
    promoted(registry, "Guarded", "one")
    member = registry.user("guardmember")
    assert registry.command("team", "add-member", "local", "guardmember", "--role", "member").returncode == 0
    assert member.ask(PROTECT, aliases=["production"]).status == 403
    assert registry.ask(PROTECT, aliases=["production"]).json()["data"]["updateProtectedAliases"]["project"] == {
        "protectedAliases": ["production"]
    }
    try:
        version = member.api().artifact("local/model-registry/Guarded:v0")
        version.aliases = ["staging", "latest"]
        with pytest.raises(CommError) as refused:
            version.save()
        assert (
            "Alias 'production' is protected in 'local/model-registry'" in f"{refused.value} {refused.value.__cause__}"
        )
        promoted(registry, "Guarded", "two")
        assert registry.api().artifact("model-registry/Guarded:production").version == "v1"
    finally:
        registry.ask(PROTECT, aliases=[])
        registry.command("team", "rm-member", "local", "guardmember")


def test_a_changed_or_missing_event_is_found(registry: Registry, tmp_path: Path):
    promoted(registry, "Forged", "one", "two")
    copy = tmp_path / "copy"
    assert registry.command("backup", str(copy)).returncode == 0
    assert command(copy, "check").returncode == 0
    whole = (copy / "registry.db").read_bytes()
    for harm, found in [
        ("update event set after = 'v7' where id = (select max(id) from event)", "was changed."),
        ("delete from event where id = (select max(id) from event)", "are missing."),
        ("delete from event where id = 2", "events 2 to 2 are missing."),
        (
            "insert into event values (9000000, '', '', 'alias', '', null, null, null, null, null, null, null, '')",
            "are missing",
        ),
        (
            "delete from event; delete from sqlite_sequence where name = 'event'",
            "the log doesn't tell where it comes from",
        ),
        ("update alias set membership_id = (select min(id) from membership) where name = 'production'", "the log says"),
    ]:
        with closing(sqlite3.connect(copy / "registry.db", isolation_level=None)) as db:
            with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
                db.execute("update event set who = 'nobody'")
            db.execute("drop trigger event_is_never_changed")
            db.execute("drop trigger event_is_never_removed")
            db.executescript(harm)
        checked = command(copy, "check")
        assert (checked.returncode, found in checked.stdout) == (1, True), checked.stdout
        (copy / "registry.db").write_bytes(whole)


def test_accounts_and_memberships_are_in_the_log_and_in_its_proof(store: Path):
    for arguments in (
        ("user", "add", "ada", "--admin"),
        ("user", "add", "ben"),
        ("org", "add", "acme", "--admin", "ada"),
        ("org", "add-member", "acme", "ben", "--role", "viewer"),
        ("org", "add-member", "acme", "ben", "--role", "member"),
        ("team", "add", "vision", "--org", "acme", "--member", "ada"),
        ("team", "add", "vision", "--org", "acme", "--member", "ben"),
        ("team", "add-member", "vision", "ben", "--role", "viewer"),
        ("team", "rm-member", "vision", "ben"),
        ("org", "rm-member", "acme", "ben"),
        ("user", "rm", "ben"),
    ):
        done = command(store, *arguments)
        assert done.returncode == 0, done.stderr

    def told(name: str) -> list[str]:
        return [re.sub(r"^\S+  command line  ", "", line) for line in command(store, "log", name).stdout.splitlines()]

    assert told("acme") == [
        "add organization acme",
        "member acme ada nothing → admin",
        "member acme ben nothing → viewer",
        "member acme ben viewer → member",
        "member acme ben member → nothing",
    ]
    assert told("vision") == [
        "add team vision",
        "member vision ada nothing → admin",
        "member vision ben nothing → admin",
        "member vision ben admin → viewer",
        "member vision ben viewer → nothing",
    ]
    assert told("ben")[0] == "add user ben"
    assert told("ben")[-1] == "remove user ben"
    assert command(store, "check").returncode == 0
    with records(store) as db:
        drop_guard(db, "event_is_never_changed")
        db.execute("update event set after = 'admin' where action = 'member' and after = 'viewer'")
    checked = command(store, "check")
    assert checked.returncode == 1
    assert "was changed" in checked.stdout


def test_an_end_that_was_cut_off_by_somebody_who_knows_how_is_found(store: Path):
    """With the counter of the events set back too, the removal of a member left no trace."""
    for arguments in (("user", "add", "eve"), ("team", "add", "red", "--org", "local-org", "--member", "eve")):
        assert command(store, *arguments).returncode == 0
    assert command(store, "team", "rm-member", "red", "eve").returncode == 0
    with records(store) as db:
        drop_guard(db, "event_is_never_removed")
        db.execute("delete from event where id = (select max(id) from event)")
        db.execute("update sqlite_sequence set seq = seq - 1 where name = 'event'")
    checked = command(store, "check")
    assert (checked.returncode, checked.stdout.count("\n")) == (1, 2)
    assert "it doesn't end with event" in checked.stdout
    assert command(store, "user", "add", "ida").returncode == 0
    assert "it doesn't end with event" in command(store, "check").stdout, (
        "the next event hid what was cut off before it"
    )


@embedded
def test_an_older_log_that_is_put_back_is_found_by_who_kept_its_head(store: Path):
    """Whoever brings back a whole older database brings its seal along."""
    assert command(store, "user", "add", "eve").returncode == 0
    earlier = command(store, "log", "--head").stdout.strip()
    older = (store / "registry.db").read_bytes()
    assert command(store, "user", "rm", "eve").returncode == 0
    later = command(store, "log", "--head").stdout.strip()
    assert command(store, "check", "--head", earlier).returncode == 0
    assert command(store, "check", "--head", later).returncode == 0
    (store / "registry.db").write_bytes(older)
    assert command(store, "check").returncode == 0
    checked = command(store, "check", "--head", later)
    assert (checked.returncode, f"Activity log: it holds no event {later}." in checked.stdout) == (1, True)
