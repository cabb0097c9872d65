"""What every page passes: sign-in, one moment of the records, the check of forms, errors in words, and Jinja.

A view is a function of a Visit that answers a Page, a Moved or a Content. A change is one that runs in a write
transaction and answers where to go on, or a page; what it refuses is shown on the page that was changed, with what was
typed.
Everything is read at start, so that the server outlives the folder it was started from.
"""

import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from wandb_registry.db.connection import Connection
from wandb_registry.errors import Fault, Forbidden, NotFound, RegistryError, from_system
from wandb_registry.http import middleware
from wandb_registry.http.authentication import form_token, is_own_form, who_looks
from wandb_registry.http.downloads import Downloads, saved_as
from wandb_registry.http.request_bodies import whole_body
from wandb_registry.model.access import Who
from wandb_registry.store import Store
from wandb_registry.web import addresses, formats

log = logging.getLogger("registry")
HERE = Path(__file__).parent
TEMPLATES = {path.name: path.read_text() for path in (HERE / "templates").glob("*.html")}
STATIC = {path.name: path.read_bytes() for path in (HERE / "static").iterdir()}
MARKS = {name: hashlib.md5(body, usedforsecurity=False).hexdigest()[:8] for name, body in STATIC.items()}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}

LARGEST_FORM = 2**16
THEME = "registry_theme"
SAID = "registry_said"  # one sentence for the next page, on what the last form did
FOREVER = "private, max-age=31536000, immutable"  # of what an address can never mean anew


@dataclass(frozen=True)
class Problem:
    """What a form asked for and why it was refused; the page shows both beside the form."""

    sentence: str
    status: int
    form: dict[str, str]


@dataclass(frozen=True)
class Visit:
    """A request for a page: who looks, at which address, and the records as of one moment."""

    db: Connection
    who: Who
    store: Store
    path: dict[str, str]
    query: QueryParams
    address: str  # of this page, with its query
    form: dict[str, str] = field(default_factory=dict)
    problem: Problem | None = None


@dataclass(frozen=True)
class Page:
    """A template and what it shows."""

    template: str
    values: dict[str, Any]
    status: int = 200


@dataclass(frozen=True)
class Redirect:
    """Where to go on, and a sentence on what was done."""

    address: str
    said: str = ""


@dataclass(frozen=True)
class ContentResponse:
    """A stored content. Media are shown and played; all else is a download, so that nothing uploaded runs as a page."""

    md5: str
    name: str


@dataclass(frozen=True)
class Export:
    """A text that is made while it is sent, to be saved as a file."""

    parts: Iterator[str]
    name: str
    media_type: str


View = Callable[[Visit], Page | Redirect | ContentResponse | Export]
Change = Callable[[Visit], Redirect | Page]


@cache
def templates():
    """Jinja, imported at the first page: stages never look at one."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    made = Environment(
        loader=DictLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(formats.FILTERS)
    made.globals.update(asset=asset, to=addresses)
    return made


def asset(name: str) -> str:
    """The address of a static file. It changes with the file, so browsers may keep it for good."""
    return f"/static/{name}?v={MARKS[name]}"


class Shell:
    """Makes endpoints of views for one store."""

    def __init__(self, store: Store):
        self.store = store
        self.downloads = Downloads(store.blobs)

    def page(self, view: View, change: Change | None = None) -> Callable:
        """An endpoint that shows a view, and posts its forms to a change. Who isn't signed in is asked to."""

        async def endpoint(request: Request) -> Response:
            form = await read_form(request) if request.method == "POST" else None
            answer = await run_in_threadpool(self._answer, request, view, change, form)
            if isinstance(answer, ContentResponse):
                return await self.downloads.answer(request, answer.md5, answer.name, inline=True)
            return answer

        return endpoint

    def _answer(
        self, request: Request, view: View, change: Change | None, form: dict[str, str] | None
    ) -> Response | ContentResponse:
        who = who_looks(request, self.store)
        if who is None:
            return sign_in_first(request)
        try:
            if form is None:
                return self._look(request, view, who)
            return self._change(request, view, change, who, form)
        except Exception as error:
            return self.excuse(request, who, error)

    def _look(
        self, request: Request, view: View, who: Who, problem: Problem | None = None
    ) -> Response | ContentResponse:
        with self.store.db.read() as db:
            answer = view(self._visit(request, db, who, problem=problem))
        if isinstance(answer, ContentResponse):
            return answer
        if isinstance(answer, Redirect):
            return _moved(answer)
        if isinstance(answer, Export):
            return StreamingResponse(answer.parts, media_type=answer.media_type, headers=saved_as(answer.name))
        return self._show(request, who, answer, problem)

    def _change(
        self, request: Request, view: View, change: Change | None, who: Who, form: dict[str, str]
    ) -> Response | ContentResponse:
        if change is None:
            raise NotFound("This page has nothing to change.")
        if not is_own_form(request, self.store, form.get("token", "")):
            raise Forbidden("This form was not made by this page, or you signed in anew since. Open the page again.")
        try:
            with self.store.db.write() as db:
                answer = change(self._visit(request, db, who, form=form))
            return _moved(answer) if isinstance(answer, Redirect) else self._show(request, who, answer)
        except NotFound:
            raise
        except RegistryError as error:
            return self._look(request, view, who, Problem(str(error), error.status, form))

    def _show(self, request: Request, who: Who, page: Page, problem: Problem | None = None) -> Response:
        return self.render(request, page.template, problem.status if problem else page.status, who=who, **page.values)

    def _visit(self, request: Request, db: Connection, who: Who, **more: Any) -> Visit:
        return Visit(db, who, self.store, request.path_params, request.query_params, address_of(request), **more)

    # ---- answers ----

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page in its frame: theme, account, the token of its forms, and what the last form did."""
        theme = request.cookies.get(THEME)
        frame = {
            "theme": theme if theme in ("light", "dark") else None,
            "token": form_token(request, self.store),
            "said": unquote(request.cookies.get(SAID, "")),
            "address": address_of(request),
        }
        text = templates().get_template(template).render({"who": None, **values, "frame": frame})
        answer = HTMLResponse(text, status, {"cache-control": "no-store", "vary": "cookie"})
        if SAID in request.cookies:
            answer.delete_cookie(SAID)
        return answer

    def excuse(self, request: Request, who: Who | None, error: Exception) -> Response:
        """An error as a page that says what is so."""
        number = secrets.token_hex(3)
        path = address_of(request).partition("?")[0]  # quoted, so that nothing in it can act on a terminal
        if isinstance(error, RegistryError):
            log.warning("%s %.300s refused, request %s: %.300r", request.method, path, number, str(error))
        else:
            log.error("%s %.300s failed, request %s", request.method, path, number, exc_info=error)
            error = from_system(error) or Fault()
        shown = {"who": who, "sentence": str(error), "code": error.status, "number": number}
        return self.render(request, "error.html", error.status, **shown)

    async def unknown(self, request: Request, error: Exception) -> Response:
        """For addresses that mean nothing: a page for people, a plain error for everything else."""
        if "text/html" not in request.headers.get("accept", ""):
            return await middleware.unknown(request, error)
        who = await run_in_threadpool(who_looks, request, self.store)
        return self.excuse(request, who, NotFound(f"There is nothing at {request.url.path}."))


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, each once; of several by one name, the last."""
    body = await whole_body(request, LARGEST_FORM)
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


async def static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise NotFound(f"There is nothing at {request.url.path}.")
    kind = MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")
    kept = FOREVER if request.query_params.get("v") == MARKS[name] else "no-cache"
    return Response(STATIC[name], media_type=kind, headers={"cache-control": kept})


def sign_in_first(request: Request) -> Response:
    """To the sign-in page, and from there back to where the person wanted to go."""
    wanted = address_of(request) if request.method == "GET" else "/"
    return RedirectResponse("/login" if wanted == "/" else f"/login?{urlencode({'next': wanted})}", 303)


def address_of(request: Request) -> str:
    query = request.url.query
    return quote(request.scope["path"], safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def _moved(answer: Redirect) -> Response:
    response = RedirectResponse(answer.address, 303)
    if answer.said:
        response.set_cookie(SAID, quote(answer.said[:600]), max_age=30, httponly=True, samesite="strict")
    return response
