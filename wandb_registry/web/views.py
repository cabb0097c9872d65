"""The types of views and form handlers: what they get and what they return.

A view runs in a read transaction, a form handler in a write transaction. If the handler refuses a form, the page that
posted it shows the error beside the form, with what was typed.
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
    """A form that a handler has refused: its error and its fields, which the page shows again."""

    sentence: str
    status: int
    form: dict[str, str]


@dataclass(frozen=True)
class PageRequest:
    """A request of a signed-in viewer, with a connection in its transaction."""

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
    """An address to go to, and a sentence about what was done, which the page there shows."""

    address: str
    message: str = ""
    events: tuple[int, ...] = ()  # of the activity log, which the page there offers to undo


@dataclass(frozen=True)
class StoredFile:
    """A stored content. Browsers show media; anything else is a download, so that no uploaded file runs as a page."""

    md5: str
    name: str


@dataclass(frozen=True)
class Framed:
    """An uploaded page in HTML, for a sandboxed frame: it reaches neither cookies nor any host. `scripts`: they run.

    `page` makes a page of ours from a content that is no page itself, and the nonce that its scripts have.
    """

    md5: str
    name: str
    scripts: bool
    page: Callable[[bytes, str], bytes] | None = None


@dataclass(frozen=True)
class Export:
    """A text for a file to save, made while it is sent."""

    parts: Iterator[str]
    name: str
    media_type: str


@dataclass(frozen=True)
class Data:
    """JSON for a page's script."""

    text: str


View = Callable[[PageRequest], Page | Redirect | StoredFile | Framed | Export | Data]
FormHandler = Callable[[PageRequest], Redirect | Page]
