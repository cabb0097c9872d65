"""Requests to put an alias on a version, which a second person approves. Only the embedded registry's kind has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.client.http_client import RegistryClient
from dvc_wandb.errors import DvcWandbError, RegistryHTTPError, RegistryUnavailableError

OPEN, APPROVED, REJECTED, WITHDRAWN = "OPEN", "APPROVED", "REJECTED", "WITHDRAWN"
REFUSED = (400, 403, 404, 409)  # HTTP's statuses of a sentence for the user
UNKNOWN = ("Cannot query field", "Unknown type")  # what GraphQL servers say of a field that they lack

FIELDS = "id number alias version holder reason facts state asker askedAt decider decidedAt decision whyNot"
ALL = f"""
query PromotionRequests($entity: String!, $project: String!, $collection: String!) {{
  project(name: $project, entityName: $entity) {{
    artifactCollection(name: $collection) {{ promotionRequests {{ {FIELDS} }} }}
  }}
}}
"""
ASK = f"""
mutation RequestPromotion($input: RequestPromotionInput!) {{
  requestPromotion(input: $input) {{ request {{ {FIELDS} }} }}
}}
"""
DECIDE = f"""
mutation DecidePromotion($input: DecidePromotionInput!) {{
  decidePromotion(input: $input) {{ request {{ {FIELDS} }} }}
}}
"""


class NoApprovalsError(DvcWandbError):
    """The registry has no requests for approval, as W&B's own server."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"the registry at {url} can't ask a second person (promote.approvals): W&B's own server has no such "
            "request. Use the embedded registry's kind of server, or set promote.approvals to 0 and let git's reviewer "
            "be the second person."
        )


class RefusedError(DvcWandbError):
    """The registry refused a request or a decision, in its own words."""


@dataclass(frozen=True)
class PromotionRequest:
    """A request to put `alias` on `version`; `why_not` says why this account can't decide on it."""

    id: str
    number: int
    alias: str
    version: str
    holder: str | None
    reason: str
    facts: dict[str, Any]
    state: str
    asker: str
    decider: str | None
    decision: str | None
    why_not: str | None


class PromotionRequests:
    """The requests of one registered model."""

    def __init__(self, connection: RegistryConnection, entity: str, project: str, collection: str) -> None:
        self._client = RegistryClient(connection.url)
        self._place = {"entityName": entity, "projectName": project, "artifactCollectionName": collection}

    def all(self) -> list[PromotionRequest]:
        """The requests, the newest first."""
        names = {name: self._place[f"{name}Name"] for name in ("entity", "project")}
        names["collection"] = self._place["artifactCollectionName"]
        found = (self._execute(ALL, names)["project"] or {}).get("artifactCollection") or {}
        return [_parse(row) for row in found.get("promotionRequests", [])]

    def ask(self, version: str, alias: str, reason: str, facts: dict[str, Any]) -> PromotionRequest:
        """The open request for this; a new one unless it is asked already. Raises RefusedError."""
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
        given = {**self._place, "version": version, "alias": alias, "reason": reason, "facts": text}
        return _parse(self._execute(ASK, {"input": given})["requestPromotion"]["request"])

    def decide(self, request: PromotionRequest, decision: str, reason: str) -> PromotionRequest:
        """The request, after it was closed by APPROVE, REJECT or WITHDRAW. Raises RefusedError."""
        given = {"id": request.id, "decision": decision, "reason": reason}
        return _parse(self._execute(DECIDE, {"input": given})["decidePromotion"]["request"])

    def page_url(self, number: int) -> str:
        """Where a person looks at a request and decides."""
        path = "/".join(self._place.values())
        query = urlencode({"selectionPath": path, "view": "request", "request": number})
        return f"{self._client.url}/registry/model?{query}"

    def _execute(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._client.graphql(query, variables)
        except RegistryUnavailableError as error:
            status, reason = (error.status, error.reason) if isinstance(error, RegistryHTTPError) else (200, str(error))
            if any(words in reason for words in UNKNOWN) or (status in (400, 422) and not reason):
                raise NoApprovalsError(self._client.url) from None
            if status in REFUSED:
                raise RefusedError(reason) from None
            raise


def _parse(row: dict[str, Any]) -> PromotionRequest:
    facts = json.loads(row["facts"])
    names = ("id", "number", "alias", "version", "holder", "reason", "state", "asker", "decider", "decision")
    return PromotionRequest(facts=facts, why_not=row["whyNot"], **{name: row[name] for name in names})
