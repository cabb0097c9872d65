"""The page of API keys, to which the SDK sends a user when it asks for a key."""

from wandb_registry.model.accounts import users
from wandb_registry.web.views import Page, PageRequest


def keys_page(request: PageRequest) -> Page:
    return _page(request, None)


def make_key(request: PageRequest) -> Page:
    """Makes an API key for the viewer. Only this page shows the whole key."""
    key = users.new_key()
    users.add_key(request.db, request.viewer.user_id, key, "wandb login")
    return _page(request, key)


def _page(request: PageRequest, made: str | None) -> Page:
    hints = [key["hint"] for key in users.keys_of(request.db, request.viewer.user_id)]
    return Page("keys.html", {"made": made, "hints": hints})
