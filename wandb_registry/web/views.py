"""What a page's view is given and what it answers.

A view reads the records as of one moment. A form handler runs in a write transaction; what it refuses is shown on the
page that posted the form, with what was typed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import QueryParams

from wandb_registry.db.connection import Connection
from wandb_registry.model.access import Viewer
from wandb_registry.store import Store


@dataclass(frozen=True)
class RefusedForm:
    """What a form asked for and why it was refused; the page shows both beside the form."""

    sentence: str
    status: int
    form: dict[str, str]


@dataclass(frozen=True)
class PageRequest:
    """A request of somebody who is signed in, with the database of its transaction."""

    db: Connection
    viewer: Viewer
    store: Store
    path: dict[str, str]  # the parameters of the route
    query: QueryParams
    address: str  # path and query
    form: dict[str, str] = field(default_factory=dict)
    refused: RefusedForm | None = None


@dataclass(frozen=True)
class Page:
    """A template and the values that it shows."""

    template: str
    values: dict[str, Any]
    status: int = 200


@dataclass(frozen=True)
class Redirect:
    """Where to go on, and a sentence on what was done for the page there."""

    address: str
    message: str = ""


@dataclass(frozen=True)
class StoredFile:
    """A stored content. Media are shown and played; all else is a download, so that nothing uploaded runs as a page."""

    md5: str
    name: str


@dataclass(frozen=True)
class Export:
    """A text that is made while it is sent, to be saved as a file."""

    parts: Iterator[str]
    name: str
    media_type: str


View = Callable[[PageRequest], Page | Redirect | StoredFile | Export]
FormHandler = Callable[[PageRequest], Redirect | Page]
