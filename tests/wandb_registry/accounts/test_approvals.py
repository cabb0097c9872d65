"""A second person's yes: an alias that takes one moves by a request that somebody else approves, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.wandb_registry.accounts.approving import ALIASES, LINK, PROTECT, REQUEST, RULE, Team
from tests.wandb_registry.by_hand import data
from tests.wandb_registry.conftest import Account
from tests.working_tree import ROOT
from wandb_registry import daemon

DIES_BEFORE_THE_ALIAS = """
import os, signal
from wandb_registry.model.artifacts import memberships
memberships.move_alias = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
from wandb_registry.cli.main import main
main()
"""


def wait_for(store: Path, pid: int) -> None:
    """Wait until the server of the store is the process `pid`."""
    for _ in range(300):
        if (server := daemon.find(store)) and server.pid == pid:
            return
        time.sleep(0.1)
    pytest.fail(f"process {pid} serves no store")


def test_a_second_person_moves_the_alias_and_the_log_names_both(team: Team):
    asked = team.ask(team.jon, accuracy=0.96)
    assert (asked["state"], asked["version"], asked["holder"], asked["asker"]) == ("OPEN", "v1", "v0", "jon")
    assert team.ask(team.jon, accuracy=0.96)["id"] == asked["id"]  # asked once, however often
    assert team.production() == "v0"
    assert "'jon' asked for this" in team.decide(team.jon, asked, "APPROVE")["error"]
    assert "Say why" in team.decide(team.ana, asked, "APPROVE", " ")["error"]
    assert "Only jon, who asked" in team.decide(team.ana, asked, "WITHDRAW")["error"]
    approved = team.decide(team.ana, asked, "APPROVE")
    assert (approved["state"], approved["decider"], approved["decision"]) == ("APPROVED", "ana", "looked at it")
    assert team.production() == "v1"
    assert team.told() == [
        f"{team.told()[0].split()[0]} alias None v0",
        "jon approvals None by a second person",
        "jon ask v1 better",
        "ana approve v1 asked by jon: looked at it",
        "ana alias v0 v1",
    ]
    assert team.registry.command("check").returncode == 0


def test_nobody_moves_it_alone_not_even_an_admin(team: Team):
    team.decide(team.ana, team.ask(team.jon), "APPROVE")
    place = {"entityName": "local", "projectName": "model-registry", "artifactCollectionName": team.model}
    production = [{**place, "alias": "production"}]
    for who in (team.jon, team.registry):
        for mutation, artifact in (("addAliases", team.ids[2]), ("deleteAliases", team.ids[1])):
            refused = who.ask(ALIASES % mutation, id=artifact, aliases=production)
            assert refused.status == 403
            assert "takes a second person's yes" in refused.text
    again = [{"artifactCollectionName": team.model, "alias": "production"}]
    assert team.jon.ask(LINK, id=team.ids[2], name=team.model, aliases=again).status == 403
    gone = "mutation D($id: ID!) { deleteArtifact(input: {artifactID: $id, deleteAliases: true}) { artifact { id } } }"
    assert team.registry.ask(gone, id=team.ids[1]).status == 403
    assert team.production() == "v1"
    # Whoever may ask can make the rule; an admin alone takes it away, which the log tells
    assert team.jon.ask(RULE, name=team.model, required=False).status == 403
    assert team.registry.ask(RULE, name=team.model, required=False).status == 200
    assert team.registry.ask(ALIASES % "addAliases", id=team.ids[2], aliases=production).status == 200
    assert any("approvals by a second person None" in line for line in team.told())


WAYS_ROUND = {
    "another name for the model": """mutation M($model: ID!, $name: String!) {
      updateArtifactPortfolio(input: {artifactPortfolioID: $model, name: $name}) { artifactCollection { name } } }""",
    "no model any more": """mutation M($model: ID!) {
      deleteArtifactPortfolio(input: {artifactPortfolioID: $model}) { artifactCollection { name } } }""",
    "a link taken away": """mutation M($model: ID!, $version: ID!) {
      unlinkArtifact(input: {artifactID: $version, artifactPortfolioID: $model}) { success } }""",
    "a version deleted": """mutation M($version: ID!) {
      deleteArtifact(input: {artifactID: $version, deleteAliases: true}) { artifact { id } } }""",
    "what it is linked from deleted": """mutation M($source: ID!) {
      deleteArtifactSequence(input: {artifactSequenceID: $source}) { artifactCollection { name } } }""",
    "another project's name": """mutation M { renameProject(input: {entityName: "local",
      oldProjectName: "model-registry", newProjectName: "elsewhere"}) { project { name } } }""",
    "a request of one's own, approved by oneself": """mutation M($request: ID!) { decidePromotion(input: {id: $request,
      decision: APPROVE, reason: "I may"}) { request { id } } }""",
    "the rule weakened": """mutation M($name: String!) { updateApprovalRule(input: {entityName: "local",
      projectName: "model-registry", artifactCollectionName: $name, alias: "production", required: true,
      services: true}) { artifactCollection { name } } }""",
}
IDS = """query Q($name: String!) { project(name: "model-registry", entityName: "local") {
  artifactCollection(name: $name) { id } } made: project(name: "made", entityName: "local") {
  artifactCollection(name: $name) { id } } }"""


@pytest.mark.slow
@pytest.mark.parametrize("production", [True, False], ids=["in production", "nothing in production"])
@pytest.mark.parametrize("way", WAYS_ROUND)
def test_a_member_finds_no_way_round_a_second_person(team: Team, way: str, production: bool):
    """A model under another name left its own name to one without the rule; so did a deleted one."""
    place = {"entityName": "local", "projectName": "model-registry", "artifactCollectionName": team.model}
    if not production:
        gone = ALIASES % "deleteAliases"
        data(team.registry.ask(gone, id=team.ids[0], aliases=[{**place, "alias": "production"}]))
    asked = team.ask(team.jon)
    found = data(team.registry.ask(IDS, name=team.model))
    given = {
        "model": found["project"]["artifactCollection"]["id"],
        "source": found["made"]["artifactCollection"]["id"],
        "version": team.ids[0 if production else 1],
        "name": f"{team.model}-old" if "name" in way else team.model,
        "request": asked["id"],
    }
    before = team.told()
    answer = team.jon.ask(WAYS_ROUND[way], **{name: given[name] for name in given if f"${name}" in WAYS_ROUND[way]})
    harmless = not production and way in ("a link taken away", "a version deleted", "what it is linked from deleted")
    if not harmless:  # where nothing is in production, a version may go; the request for it goes along
        assert answer.status in (403, 409), answer.text
        assert team.told() == before
    production_alias = {"artifactCollectionName": team.model, "alias": "production"}
    again = team.jon.ask(LINK, id=team.ids[2], name=team.model, aliases=[production_alias])
    assert again.status in (403, 404), again.text  # it went along with what it was linked from


def test_a_service_account_approves_only_where_an_admin_allows_it(team: Team):
    asked = team.ask(team.jon)
    assert "service account" in team.decide(team.robot, asked, "APPROVE")["error"]
    assert team.ana.ask(RULE, name=team.model, required=True, services=True).status == 403
    assert team.registry.ask(RULE, name=team.model, required=True, services=True).status == 200
    assert team.decide(team.robot, asked, "APPROVE")["state"] == "APPROVED"


def test_where_the_alias_is_protected_its_admins_decide_and_members_ask(team: Team):
    protect = (
        'mutation { updateProtectedAliases(input: {entityName: "local", projectName: "model-registry", aliases: %s'
    )
    team.registry.ask(protect % '["production"]}) { project { id } } }')
    try:
        asked = team.ask(team.jon)
        assert "only its admins" in team.decide(team.ana, asked, "APPROVE")["error"]
        assert team.decide(team.registry, asked, "APPROVE")["state"] == "APPROVED"
    finally:
        team.registry.ask(PROTECT, aliases=[])


def test_who_committed_the_decision_is_no_second_person(team: Team):
    registry = team.registry
    data(registry.ask('mutation { createUser(input: {email: "cora@example.org"}) { user { id } } }'))
    registry.command("team", "add-member", "local", "cora", "--role", "member")
    cora = Account(registry.url, "cora", registry.command("user", "key", "cora").stdout.split()[-1])
    asked = team.ask(team.robot, email="Cora@example.org")
    assert "'cora' committed this decision" in team.decide(cora, asked, "APPROVE")["error"]
    assert team.decide(team.bo, asked, "APPROVE")["state"] == "APPROVED"


def test_another_candidate_or_other_numbers_make_a_new_request(team: Team):
    first = team.ask(team.jon, accuracy=0.96)
    second = team.ask(team.jon, accuracy=0.97)
    third = team.ask(team.jon, "v2", accuracy=0.97)
    assert len({first["id"], second["id"], third["id"]}) == 3
    late = team.decide(team.ana, first, "APPROVE")["error"]
    assert late == "The request for production on v1 was replaced by jon: by a request for v1."
    assert team.decide(team.ana, third, "APPROVE")["version"] == "v2"
    assert team.production() == "v2"
    assert [row["state"] for row in team.found()["promotionRequests"]] == ["APPROVED", "REPLACED", "REPLACED"]


def test_one_that_was_rejected_is_not_asked_again_and_one_taken_back_may_be(team: Team):
    asked = team.ask(team.jon)
    assert team.decide(team.jon, asked, "WITHDRAW", "")["state"] == "WITHDRAWN"
    assert "was taken back by jon" in team.decide(team.ana, asked, "APPROVE")["error"]
    again = team.ask(team.jon)
    assert again["id"] != asked["id"]
    assert team.decide(team.ana, again, "REJECT", "worse on 9s")["state"] == "REJECTED"
    refused = team.jon.ask(REQUEST, name=team.model, version="v1", reason="better", facts="{}")
    assert refused.status == 409
    assert "ana rejected just that: worse on 9s" in refused.text
    assert team.ask(team.jon, reason="9s were looked at")["state"] == "OPEN"
    assert team.production() == "v0"


def test_a_request_is_void_once_another_version_is_in_production(team: Team):
    asked = team.ask(team.jon)
    team.registry.ask(RULE, name=team.model, required=False)
    place = {"entityName": "local", "projectName": "model-registry", "artifactCollectionName": team.model}
    data(team.registry.ask(ALIASES % "addAliases", id=team.ids[2], aliases=[{**place, "alias": "production"}]))
    assert "production is on v2 by now" in team.decide(team.ana, asked, "APPROVE")["error"]
    assert team.ask(team.jon)["id"] != asked["id"]


def test_of_two_at_once_one_decides(team: Team):
    for round_number in range(4):
        asked = team.ask(team.jon, "v1" if team.production() != "v1" else "v2", f"round {round_number}")
        before, who = team.production(), [team.ana, team.bo, team.registry, team.jon]
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(team.decide, who, [asked] * 4, ["APPROVE", "REJECT", "APPROVE", "WITHDRAW"]))
        decided = [one for one in results if "error" not in one]
        assert len(decided) == 1, results
        assert all("The request for production" in one["error"] for one in results if "error" in one)
        assert (team.production() == asked["version"]) == (decided[0]["state"] == "APPROVED")
        assert (team.production() == before) == (decided[0]["state"] != "APPROVED")
    assert team.registry.command("check").returncode == 0


def test_a_server_that_dies_between_yes_and_alias_has_done_neither(team: Team):
    asked = team.ask(team.jon)
    store, url = team.registry.store, team.registry.url
    told = team.told()
    daemon.stop(store)
    command = [sys.executable, "-c", DIES_BEFORE_THE_ALIAS, "serve", "--port", url.rpartition(":")[2]]
    dying = subprocess.Popen(command, env=os.environ | {"REGISTRY_DIR": str(store)}, cwd=ROOT)
    try:
        wait_for(store, dying.pid)
        with suppress(OSError):
            pytest.fail(f"it answered {team.decide(team.ana, asked, 'APPROVE')}")
        assert dying.wait(30) == -9
    finally:
        dying.kill()
        assert daemon.ensure(store).url == url
    assert (team.production(), team.found()["promotionRequests"][0]["state"], team.told()) == ("v0", "OPEN", told)
    assert team.decide(team.ana, asked, "APPROVE")["state"] == "APPROVED"
    assert team.production() == "v1"
    assert team.registry.command("check").returncode == 0
