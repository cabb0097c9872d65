"""A registered model whose alias takes two, and the people around it, for tests of a second person's yes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.wandb_registry.by_hand import data
from tests.wandb_registry.conftest import Account, Registry

REQUEST = """mutation Ask($name: String!, $version: String!, $reason: String!, $facts: JSONString!) {
  requestPromotion(input: {entityName: "local", projectName: "model-registry", artifactCollectionName: $name,
    version: $version, alias: "production", reason: $reason, facts: $facts}) { request { ...R } } }
fragment R on PromotionRequest { id number state alias version holder reason asker decider decision whyNot }
"""
DECIDE = """mutation Decide($id: ID!, $decision: PromotionDecision!, $reason: String!) {
  decidePromotion(input: {id: $id, decision: $decision, reason: $reason}) { request { ...R } } }
fragment R on PromotionRequest { id number state alias version holder reason asker decider decision whyNot }
"""
RULE = """mutation Rule($name: String!, $required: Boolean!, $services: Boolean) {
  updateApprovalRule(input: {entityName: "local", projectName: "model-registry", artifactCollectionName: $name,
    alias: "production", required: $required, services: $services}) { artifactCollection { approvalRules { alias } } } }
"""
FOUND = """query Found($name: String!) { project(name: "model-registry", entityName: "local") {
  artifactCollection(name: $name) { promotionRequests { state } artifactMembership(aliasName: "production") {
  versionIndex } } } }"""
LINK = """mutation L($id: ID!, $name: String!, $aliases: [ArtifactAliasInput!]) { linkArtifact(input: {artifactID: $id,
  entityName: "local", projectName: "model-registry", artifactPortfolioName: $name, aliases: $aliases}) {
  versionIndex } }"""
ALIASES = """mutation A($id: ID!, $aliases: [ArtifactCollectionAliasInput!]!) {
  %s(input: {artifactID: $id, aliases: $aliases}) { success } }"""
PROTECT = """mutation P($aliases: [String!]!) { updateProtectedAliases(input: {entityName: "local",
  projectName: "model-registry", aliases: $aliases}) { project { id } } }"""


@dataclass
class Team:
    """A registered model of the test's own with two versions, v0 in production, and the people around it."""

    registry: Registry
    jon: Account  # a member, as are ana and bo
    ana: Account
    bo: Account
    robot: Account  # a service account
    model: str = ""
    ids: tuple[str, ...] = ()

    def ask(self, who: Account, version: str = "v1", reason: str = "better", **facts: Any) -> dict[str, Any]:
        answer = who.ask(REQUEST, name=self.model, version=version, reason=reason, facts=json.dumps(facts))
        return data(answer)["requestPromotion"]["request"]

    def decide(self, who: Account, request: dict[str, Any], decision: str, reason: str = "looked at it") -> dict:
        """The answer to a decision: the request, or the `error`."""
        answer = who.ask(DECIDE, id=request["id"], decision=decision, reason=reason).json()
        failed = answer.get("errors")
        return {"error": failed[0]["message"]} if failed else answer["data"]["decidePromotion"]["request"]

    def found(self) -> dict[str, Any]:
        return data(self.registry.ask(FOUND, name=self.model))["project"]["artifactCollection"]

    def production(self) -> str:
        return f"v{self.found()['artifactMembership']['versionIndex']}"

    def told(self) -> list[str]:
        """What the log tells of the alias, without times."""
        rows = self.registry.command("log", self.model, "--json").stdout.splitlines()
        events = [event for event in map(json.loads, rows) if event["name"] == "production"]
        return [f"{event['who']} {event['action']} {event['before']} {event['after']}" for event in events]
