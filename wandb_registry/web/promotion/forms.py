"""The forms of a request's page: approve, reject, take back; and the rule that an alias takes a second person's yes."""

from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.model import access, promotion_requests
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import protected_aliases
from wandb_registry.web.promotion.page import address_of
from wandb_registry.web.views import PageRequest, Redirect

Row = dict[str, Any]
DECISIONS = {
    "approve": (promotion_requests.approve, "{alias} is on {version} now."),
    "reject": (promotion_requests.reject, "Rejected: {alias} stays where it is."),
    "withdraw": (promotion_requests.withdraw, "Taken back: {alias} stays where it is."),
}
RULES = {"require": False, "allow-services": True, "no-services": False, "no-rule": None}  # → set_approvals


def change(request: PageRequest, project: Row, collection: Row) -> Redirect:
    """Decides on a request, or changes the rule of an alias. Raises what the model refuses."""
    action = request.form.get("do", "")
    if action in DECISIONS:
        return _decide(request, project, collection, *DECISIONS[action])
    if action in RULES:
        return _change_rule(request, project, collection, action)
    raise BadInput(f"'{action}' is nothing that this page can do.")


def _decide(request: PageRequest, project: Row, collection: Row, decide: Any, words: str) -> Redirect:
    number, reason = request.form.get("request", ""), request.form.get("reason", "").strip().replace("\r\n", "\n")
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise BadInput("This form names no request.")
    decided = decide(request.db, request.viewer, int(number), reason)
    return Redirect(address_of(project, collection, decided["id"]), words.format(**decided))


def _change_rule(request: PageRequest, project: Row, collection: Row, action: str) -> Redirect:
    alias = request.form.get("alias", "").strip()
    need = Role.MEMBER if action == "require" else Role.ADMIN
    access.collection_by_id(request.db, request.viewer, collection["id"], need)
    if action == "require" and protected_aliases.rule(request.db, collection["id"], alias):
        return Redirect(request.address, f"{alias} takes a second person's yes already.")
    protected_aliases.set_approvals(request.db, request.viewer, collection["id"], alias, RULES[action])
    return Redirect(request.address, "Saved.")
