"""Requests to put an alias on a version, and a second person's yes: fields of our own, which W&B's servers lack."""

from wandb_registry.errors import NotFound
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model import access, ids, promotion_requests
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import collections, memberships, protected_aliases

sequence = Fields("ArtifactSequence")
portfolio = Fields("ArtifactPortfolio")
request = Fields("PromotionRequest")
mutation = Fields("Mutation")
FIELDS = (sequence, portfolio, request, mutation)


@sequence.field("approvalRules")
@portfolio.field("approvalRules")
def resolve_rules(row, info):
    return protected_aliases.rules_of(info.context.db, row["id"]) if info.context.may_read(row["project_id"]) else []


@sequence.field("promotionRequests")
@portfolio.field("promotionRequests")
def resolve_requests(row, info, first=None):
    limit = -1 if first is None else max(0, first)
    may_read = info.context.may_read(row["project_id"])
    return promotion_requests.of_collection(info.context.db, row["id"], limit) if may_read else []


@request.field("id")
def resolve_id(row, info):
    return ids.encode("PromotionRequest", row["number"])


@request.field("whyNot")
def resolve_why_not(row, info):
    return promotion_requests.why_not(info.context.db, info.context.viewer, row)


@mutation.field("requestPromotion")
def request_promotion(_, info, input):
    db, viewer = info.context.db, info.context.viewer
    collection = _writable(info, input)
    membership = memberships.find(db, collection["id"], input["version"])
    if membership is None:
        raise NotFound(f"'{collection['name']}' has no version '{input['version']}'.")
    protected_aliases.require_approval(db, viewer, collection["id"], input["alias"])
    what = (membership, input["alias"], input["reason"], input["facts"])
    return {"request": promotion_requests.ask(db, viewer, *what)}


@mutation.field("decidePromotion")
def decide_promotion(_, info, input):
    decide, number = DECISIONS[input["decision"]], ids.decode(input["id"], "PromotionRequest")
    return {"request": decide(info.context.db, info.context.viewer, number, input["reason"])}


@mutation.field("updateApprovalRule")
def update_rule(_, info, input):
    """Whoever may change the collection may make a rule; what an admin allowed or took away, an admin decides."""
    db, viewer = info.context.db, info.context.viewer
    collection = _writable(info, input)
    services = bool(input.get("services")) if input["required"] else None
    if services is not False or protected_aliases.rule(db, collection["id"], input["alias"]):
        access.collection_by_id(db, viewer, collection["id"], Role.ADMIN)
    protected_aliases.set_approvals(db, viewer, collection["id"], input["alias"], services)
    return {"artifact_collection": collection}


DECISIONS = {
    "APPROVE": promotion_requests.approve,
    "REJECT": promotion_requests.reject,
    "WITHDRAW": promotion_requests.withdraw,
}


def _writable(info, given: dict):
    names = (given["entity_name"], given["project_name"], given["artifact_collection_name"])
    return collections.writable(info.context.db, info.context.viewer, *names)
