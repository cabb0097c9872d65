"""API keys: the page to which the SDK sends whoever it asks for one."""

from wandb_registry.model.accounts import users
from wandb_registry.web.shell import Page, Visit


def show(visit: Visit) -> Page:
    return _page(visit, None)


def make(visit: Visit) -> Page:
    """Another key for the account that asks. This answer is the only one that shows it."""
    key = users.new_key()
    users.add_key(visit.db, visit.who.user_id, key)
    return _page(visit, key)


def _page(visit: Visit, made: str | None) -> Page:
    hints = [key["hint"] for key in users.keys_of(visit.db, visit.who.user_id)]
    return Page("keys.html", {"made": made, "hints": hints})
