"""Any sequence of logging, aliasing, linking and deleting keeps the rules of versions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.wandb_registry.by_hand import data, log
from tests.wandb_registry.conftest import Registry, command
from wandb_registry import daemon

STATE = """
query State($project: String!, $name: String!) { project(name: $project, entityName: "local") {
  artifactCollection(name: $name) { __typename id artifacts { edges { version node { id digest } } }
    aliases { edges { node { alias } } } } } }
"""
FIND = """
query Find($project: String!, $name: String!) { project(name: $project, entityName: "local") {
  artifactCollectionMembership(name: $name) { versionIndex } } }
"""
LINK = """
mutation Link($id: ID!, $project: String!, $aliases: [ArtifactAliasInput!]) { linkArtifact(input: {artifactID: $id,
  entityName: "local", projectName: $project, artifactPortfolioName: "linked", aliases: $aliases}) { versionIndex } }
"""
UNLINK = """
mutation Unlink($id: ID!, $from: ID!) { unlinkArtifact(input: {artifactID: $id, artifactPortfolioID: $from}) {
  success } }
"""
DELETE = """
mutation Delete($id: ID!, $aliases: Boolean) { deleteArtifact(input: {artifactID: $id, deleteAliases: $aliases}) {
  artifact { id } } }
"""
ALIASES = """
mutation Change($id: ID!, $aliases: [ArtifactCollectionAliasInput!]!) {
  %s(input: {artifactID: $id, aliases: $aliases}) { success } }
"""
NAMES = st.sampled_from(["best", "candidate", "staging"])
CONTENTS = st.sampled_from([b"one", b"two", b"three", b"four"])
NUMBERS = itertools.count()


@dataclass
class Collection:
    """What a collection should hold: its versions by number, and which number each alias is on."""

    versions: dict[int, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    given: int = 0

    def add(self, artifact: str) -> int:
        number = self.given
        self.versions[number] = artifact
        self.given += 1
        return number

    def number_of(self, artifact: str) -> int | None:
        return next((number for number, held in self.versions.items() if held == artifact), None)

    def remove(self, artifact: str) -> None:
        number = self.number_of(artifact)
        if number is None:
            return
        del self.versions[number]
        was_latest = self.aliases.get("latest") == number
        self.aliases = {name: held for name, held in self.aliases.items() if held != number}
        if was_latest and self.versions:
            self.aliases["latest"] = max(self.versions)


class Versions(RuleBasedStateMachine):
    """A sequence and a portfolio of links to it, beside a model of both."""

    registry: Registry

    def __init__(self):
        super().__init__()
        self.project = f"machine-{next(NUMBERS)}"
        self.own, self.linked = Collection(), Collection()
        self.contents: dict[bytes, str] = {}

    @rule(content=CONTENTS, alias=st.none() | NAMES)
    def log(self, content: bytes, alias: str | None):
        given = ("latest", *([alias] if alias else []))
        artifact = log(self.registry, self.project, "own", {"file": content}, aliases=given)
        if content in self.contents:
            assert artifact == self.contents[content], "the same content is the same version"
        else:
            self.own.add(artifact)
            self.contents[content] = artifact
        for name in given:
            number = self.own.number_of(artifact)
            assert number is not None
            self.own.aliases[name] = number

    @precondition(lambda self: self.own.versions)
    @rule(pick=st.randoms(use_true_random=False), alias=NAMES, remove=st.booleans())
    def alias(self, pick, alias: str, remove: bool):
        number = pick.choice(sorted(self.own.versions))
        where = {"entityName": "local", "projectName": self.project, "artifactCollectionName": "own", "alias": alias}
        verb = "deleteAliases" if remove else "addAliases"
        data(self.registry.ask(ALIASES % verb, id=self.own.versions[number], aliases=[where]))
        if not remove:
            self.own.aliases[alias] = number
        elif self.own.aliases.get(alias) == number:
            del self.own.aliases[alias]

    @precondition(lambda self: self.own.versions)
    @rule(pick=st.randoms(use_true_random=False), alias=st.none() | NAMES)
    def link(self, pick, alias: str | None):
        artifact = self.own.versions[pick.choice(sorted(self.own.versions))]
        wanted = [{"artifactCollectionName": "linked", "alias": alias}] if alias else []
        answer = data(self.registry.ask(LINK, id=artifact, project=self.project, aliases=wanted))
        number = self.linked.number_of(artifact)
        if number is None:
            number = self.linked.add(artifact)
            self.linked.aliases["latest"] = number
        if alias:
            self.linked.aliases[alias] = number
        assert answer["linkArtifact"]["versionIndex"] == number

    @precondition(lambda self: self.linked.versions)
    @rule(pick=st.randoms(use_true_random=False))
    def unlink(self, pick):
        artifact = self.linked.versions[pick.choice(sorted(self.linked.versions))]
        portfolio = self.state("linked")["id"]
        data(self.registry.ask(UNLINK, **{"id": artifact, "from": portfolio}))
        self.linked.remove(artifact)

    @precondition(lambda self: self.own.versions)
    @rule(pick=st.randoms(use_true_random=False))
    def delete(self, pick):
        artifact = self.own.versions[pick.choice(sorted(self.own.versions))]
        held = {n for c in (self.own, self.linked) for n in c.aliases.values() if c.versions.get(n) == artifact}
        refused = self.registry.ask(DELETE, id=artifact, aliases=False)
        assert refused.status == (409 if held else 200), refused.text
        if held:
            data(self.registry.ask(DELETE, id=artifact, aliases=True))
        self.own.remove(artifact)
        self.linked.remove(artifact)
        self.contents = {content: made for content, made in self.contents.items() if made != artifact}

    @invariant()
    def the_registry_shows_what_the_model_holds(self):
        for name, expected in (("own", self.own), ("linked", self.linked)):
            if not expected.given:
                continue
            state = self.state(name)
            shown = {int(edge["version"][1:]): edge["node"]["id"] for edge in state["artifacts"]["edges"]}
            assert shown == expected.versions
            assert sorted(edge["node"]["alias"] for edge in state["aliases"]["edges"]) == sorted(expected.aliases)
            for alias, number in expected.aliases.items():
                found = data(self.registry.ask(FIND, project=self.project, name=f"{name}:{alias}"))
                assert found["project"]["artifactCollectionMembership"] == {"versionIndex": number}

    def state(self, name: str) -> dict:
        return data(self.registry.ask(STATE, project=self.project, name=name))["project"]["artifactCollection"]


def check_rules(store: Path, examples: int, steps: int) -> None:
    server = daemon.ensure(store)

    class Here(Versions):
        registry = Registry(server.url, server.entity, server.api_key, store)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    checked = command(store, "check")
    assert checked.returncode == 0, checked.stdout


def test_versions_keep_their_rules(store: Path):
    check_rules(store, examples=6, steps=25)


@pytest.mark.soak
def test_versions_keep_their_rules_for_long(store: Path):
    check_rules(store, examples=200, steps=60)
