"""Registries of an organization, through the SDK: made, changed, shared, searched and taken away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from wandb.errors import CommError

from tests.wandb_registry.by_hand import log
from tests.wandb_registry.conftest import Account, Registry

ORG = "works"


@pytest.fixture(scope="module")
def boss(registry: Registry) -> Account:
    """The admin of an organization with one team."""
    boss = registry.user("worksboss")
    for arguments in (
        ("org", "add", ORG, "--admin", "worksboss"),
        ("team", "add", "crew", "--org", ORG, "--member", "worksboss"),
    ):
        assert registry.command(*arguments).returncode == 0
    return Account(boss.url, "crew", boss.key)


@pytest.fixture(scope="module")
def linked(boss: Account) -> Iterator[str]:
    """A registry with three collections, and in the first of them two versions."""
    api = boss.api()
    registry = api.create_registry("searched", "organization", ORG)
    for number, collection in enumerate(["first", "second", "third", "first"]):
        log(boss, "source", f"own{number}", {"file": f"searched{number}".encode()})
        api.artifact(f"crew/source/own{number}:latest").link(f"{ORG}/{registry.full_name}/{collection}")
    yield registry.name
    registry.delete()


def test_a_registry_is_made_changed_renamed_and_deleted(registry: Registry, boss: Account):
    api = boss.api()
    made = api.create_registry("plain", "organization", ORG, description="first")
    assert (made.description, made.visibility, made.allow_all_artifact_types) == ("first", "organization", True)
    with pytest.raises(ValueError, match="use a different name"):
        api.create_registry("plain", "organization", ORG)
    made.description, made.visibility, made.name = "second", "restricted", "better"
    made.save()
    found = api.registry("better", ORG)
    assert (found.id, found.description, found.visibility) == (made.id, "second", "restricted")
    with pytest.raises(ValueError, match="Failed to load registry 'plain'"):
        api.registry("plain", ORG)
    found.delete()
    with pytest.raises(ValueError, match="Failed to load registry 'better'"):
        api.registry("better", ORG)
    # the log knew registries by 'wandb-registry-better' alone, and ended with 'deleted …:None'
    assert registry.command("log", "better").stdout.endswith("deleted works_registry/wandb-registry-better\n")


def test_a_registry_takes_only_the_types_it_was_made_for(boss: Account):
    api = boss.api()
    strict = api.create_registry("strict", "organization", ORG, artifact_types=["dataset"])
    log(boss, "types", "weights", {"file": b"model"})
    version = api.artifact("crew/types/weights:latest")
    with pytest.raises(CommError, match="'wandb-registry-strict' doesn't take artifacts of type 'model'"):
        version.link(f"{ORG}/wandb-registry-strict/models")
    strict.artifact_types.append("model")
    strict.save()
    assert version.link(f"{ORG}/wandb-registry-strict/models").version == "v0"
    strict.delete()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["first", "second", "third"]),
        ({"name": "second"}, ["second"]),
        ({"name": {"$regex": "^(first|third)$"}}, ["first", "third"]),
        ({"$or": [{"name": "third"}, {"tag": "gold"}]}, ["second", "third"]),
        ({"name": {"$nin": ["first"]}, "tag": {"$ne": "gold"}}, ["third"]),
        ({"created_at": {"$gt": "2999-01-01"}}, []),
    ],
)
def test_collections_are_searched(boss: Account, linked: str, query: dict, expected: list[str]):
    api = boss.api()
    tagged = next(item for item in api.registry(linked, ORG).collections() if item.name == "second")
    tagged.tags = ["gold"]
    tagged.save()
    found = api.registries(ORG, filter={"name": linked}).collections(filter=query, order="name")
    assert [item.name for item in found] == expected


def test_versions_are_searched_over_all_registries(boss: Account, linked: str):
    api = boss.api()
    best = api.artifact(f"{ORG}/wandb-registry-{linked}/first:v1")
    best.metadata |= {"accuracy": 0.97, "classes": [{"name": "one", "id": 1}, {"name": "seven", "id": 7}]}
    best.tags = ["checked"]
    best.aliases.append("production")
    best.save()
    try:
        registries = api.registries(ORG, filter={"name": {"$contains": linked}})

        def names(**query) -> list[str]:
            return sorted(version.name for version in registries.versions(filter=query, per_page=1))

        assert names() == ["first:v0", "first:v1", "second:v0", "third:v0"]
        assert names(alias="production") == ["first:v1"]
        assert names(tag="checked") == ["first:v1"]
        assert names(**{"metadata.accuracy": {"$gte": 0.9}}) == ["first:v1"]
        assert names(**{"metadata.accuracy": {"$type": "double"}, "tag": {"$elemMatch": {"$regex": "^ch"}}}) == [
            "first:v1"
        ]
        assert names(**{"metadata.classes": {"$elemMatch": {"name": "seven", "id": {"$mod": [5, 2]}}}}) == ["first:v1"]
        assert names(version=1) == ["first:v1"]
        firsts = registries.collections(filter={"name": "first"}).versions(filter={"alias": "latest"})
        assert [version.name for version in firsts] == ["first:v1"]
    finally:
        best.aliases.remove("production")
        best.save()


def test_a_filter_that_names_no_field_is_refused_with_a_sentence(boss: Account):
    search = (
        'query S($f: JSONString) { entity(name: "works_registry") { projects(filters: $f) { edges { node { id } } } } }'
    )
    refused = boss.ask(search, f='{"colour": "red"}')
    assert (refused.status, "'colour' is not a field" in refused.text) == (400, True)


def test_roles_decide_who_reads_links_and_edits(registry: Registry, boss: Account):
    members = {role: registry.user(f"works{role}") for role in ("viewer", "member", "admin", "stranger")}
    for role in ("viewer", "member", "admin", "stranger"):
        registry.command("org", "add-member", ORG, f"works{role}", "--role", "viewer")
    api = boss.api()
    closed = api.create_registry("closed", "restricted", ORG)
    log(boss, "roles", "weights", {"file": b"roles"})
    api.artifact("crew/roles/weights:latest").link(f"{ORG}/wandb-registry-closed/models")
    for role in ("viewer", "member", "admin"):
        user = api.user(f"works{role}")
        assert user
        closed.add_members(user).update_member(user, role)
    assert {member.user.username: member.role for member in closed.user_members()} == {
        "worksboss": "admin", "worksviewer": "viewer", "worksmember": "member", "worksadmin": "admin",
    }  # fmt: skip

    def names(role: str) -> list[str]:
        return [found.name for found in members[role].api().registries(ORG, filter={"name": "closed"})]

    def add_alias(role: str) -> None:
        version = members[role].api().artifact(f"{ORG}/wandb-registry-closed/models:v0")
        version.aliases.append(f"by-{role}")
        version.save()

    def describe(role: str) -> None:
        found = members[role].api().registry("closed", ORG)
        found.description = role
        found.save()

    assert (names("stranger"), names("viewer")) == ([], ["closed"])
    with pytest.raises(CommError):
        add_alias("viewer")
    add_alias("member")
    with pytest.raises(ValueError, match="Failed to save registry 'closed'"):
        describe("member")
    describe("admin")
    source = members["member"].api().artifact(f"{ORG}/wandb-registry-closed/models:by-member")
    assert (source.source_entity, source.source_project) == ("", "") or not source.source_project
    closed.remove_members(next(member for member in closed.user_members() if member.user.username == "worksviewer"))
    assert names("viewer") == []
    log_lines = registry.command("log", "wandb-registry-closed").stdout
    assert "member works_registry/wandb-registry-closed worksmember nothing → member" in log_lines
    assert "member works_registry/wandb-registry-closed worksviewer viewer → nothing" in log_lines
    closed.delete()


def test_a_whole_team_can_be_a_member(registry: Registry, boss: Account):
    registry.user("teammate")
    registry.command("org", "add", "guests", "--admin", "teammate")
    registry.command("team", "add", "visitors", "--org", "guests", "--member", "teammate")
    mate = Account(registry.url, "visitors", "teammate".ljust(40, "x"))
    api = boss.api()
    shared = api.create_registry("shared", "restricted", ORG)
    team = registry.api().team("visitors")
    shared.add_members(team).update_member(team, "viewer")
    assert [(member.team.name, member.role) for member in shared.team_members()] == [("visitors", "viewer")]
    look = '{ project(entityName: "works_registry", name: "wandb-registry-shared") { name } }'
    assert mate.ask(look).json()["data"]["project"] == {"name": "wandb-registry-shared"}
    shared.remove_members(team)
    assert mate.ask(look).json()["data"]["project"] is None
    shared.delete()
