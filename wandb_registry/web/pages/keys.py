"""API keys: the page to which the SDK sends whoever it asks for one."""

from wandb_registry.model.accounts import users
from wandb_registry.web.views import Page, PageRequest


def keys_page(request: PageRequest) -> Page:
    return _page(request, None)


def make_key(request: PageRequest) -> Page:
    """Another key for the account that asks. This answer is the only one that shows it."""
    key = users.new_key()
    users.add_key(request.db, request.viewer.user_id, key)
    return _page(request, key)


def _page(request: PageRequest, made: str | None) -> Page:
    hints = [key["hint"] for key in users.keys_of(request.db, request.viewer.user_id)]
    return Page("keys.html", {"made": made, "hints": hints})
