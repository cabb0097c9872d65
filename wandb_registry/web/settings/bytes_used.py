"""The page of how many bytes each project and each user has. An admin of the registry sees it."""

from wandb_registry.model import access, retention
from wandb_registry.web.views import Page, PageRequest


def show(request: PageRequest) -> Page:
    access.needs_registry_admin(request.viewer)
    return Page("usage.html", {"title": "Bytes used", **retention.usage(request.db)})
