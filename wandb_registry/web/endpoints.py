"""Makes endpoints of views: checks the session and the form's token, opens a transaction, shows errors as pages."""

import gzip
import logging
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from markupsafe import escape
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from wandb_registry.db.connection import Connection
from wandb_registry.errors import Forbidden, InternalError, NotFound, RegistryError, from_system
from wandb_registry.http import middleware
from wandb_registry.http.authentication import cookie_reach, form_token, is_own_form, viewer_of_session
from wandb_registry.http.downloads import BlobDownloads, attachment
from wandb_registry.http.request_bodies import whole_body
from wandb_registry.model.access import Viewer
from wandb_registry.store import Store
from wandb_registry.web import addresses
from wandb_registry.web.formats import cut
from wandb_registry.web.rendering import render
from wandb_registry.web.views import (
    Data,
    Export,
    FormHandler,
    Framed,
    Page,
    PageRequest,
    Redirect,
    RefusedForm,
    StoredFile,
    View,
)

log = logging.getLogger("wandb_registry")
LARGEST_FORM = 2**16
LARGEST_MESSAGE = 3000  # of a cookie's 4,096 characters, in which a letter beyond ASCII takes six or more
THEME_COOKIE = "registry_theme"
MESSAGE_COOKIE = "registry_message"  # a sentence for the next page about what the last form did


class Endpoints:
    """The endpoints of one store's views."""

    def __init__(self, store: Store):
        self.store = store
        self.downloads = BlobDownloads(store)

    def page(self, view: View, handler: FormHandler | None = None) -> Callable:
        """An endpoint that shows a view and gives posted forms to `handler`. It asks strangers to sign in."""

        async def endpoint(request: Request) -> Response:
            form = await read_form(request) if request.method == "POST" else None
            answer = await run_in_threadpool(self._answer, request, view, handler, form)
            if isinstance(answer, StoredFile):
                return await self.downloads.response(request, answer.md5, answer.name, inline=True)
            if isinstance(answer, Framed):
                return await self.downloads.framed(answer.md5, answer.name, answer.scripts, answer.page)
            return answer

        return endpoint

    def _answer(
        self, request: Request, view: View, handler: FormHandler | None, form: dict[str, str] | None
    ) -> Response | StoredFile | Framed:
        viewer = viewer_of_session(request, self.store)
        if viewer is None:
            return _sign_in_first(request)
        try:
            if form is None:
                return self._get(request, view, viewer)
            return self._post(request, view, handler, viewer, form)
        except Exception as error:
            return self.error_page(request, viewer, error)

    def _get(
        self, request: Request, view: View, viewer: Viewer, refused: RefusedForm | None = None
    ) -> Response | StoredFile | Framed:
        with self.store.db.read() as db:
            answer = view(self._page_request(request, db, viewer, refused=refused))
        if isinstance(answer, StoredFile | Framed):
            return answer
        if isinstance(answer, Redirect):
            return _redirect(request, answer)
        if isinstance(answer, Export):
            text = (part.encode("utf-8", "replace") for part in answer.parts)  # JSON can hold half a character
            return StreamingResponse(text, media_type=answer.media_type, headers=attachment(answer.name))
        if isinstance(answer, Data):
            return _data(request, answer)
        return self._show(request, viewer, answer, refused)

    def _post(
        self, request: Request, view: View, handler: FormHandler | None, viewer: Viewer, form: dict[str, str]
    ) -> Response | StoredFile | Framed:
        if handler is None:
            raise NotFound("This page has nothing to change.")
        if not is_own_form(request, self.store, form.get("token", "")):
            raise Forbidden("This form was not made by this page, or you signed in anew since. Open the page again.")
        try:
            with self.store.db.write() as db:
                answer = handler(self._page_request(request, db, viewer, form=form))
            return _redirect(request, answer) if isinstance(answer, Redirect) else self._show(request, viewer, answer)
        except NotFound:
            raise
        except RegistryError as error:
            return self._get(request, view, viewer, RefusedForm(str(error), error.status, form))

    def _show(self, request: Request, viewer: Viewer, page: Page, refused: RefusedForm | None = None) -> Response:
        status = refused.status if refused else page.status
        return self.html(request, page.template, status, refused, viewer=viewer, **page.values)

    def _page_request(self, request: Request, db: Connection, viewer: Viewer, **more: Any) -> PageRequest:
        return PageRequest(db, viewer, self.store, request.path_params, request.query_params, _address(request), **more)

    def html(
        self, request: Request, template: str, status: int = 200, refused: RefusedForm | None = None, /, **values: Any
    ) -> HTMLResponse:
        """Renders a page with its frame: theme, account, CSRF token, and the message of the last form.

        Why a form was refused stands beside the form, or at the top of a page that has no place for it there.
        """
        theme = request.cookies.get(THEME_COOKIE)
        events, _, message = unquote(request.cookies.get(MESSAGE_COOKIE, "|")).partition("|")
        frame = {
            "theme": theme if theme in ("light", "dark") else None,
            "token": form_token(request, self.store),
            "message": message,
            "events": events,
            "refused": "",
            "address": _address(request),
        }
        text = render(template, {"viewer": None, **values, "frame": frame})
        if refused and str(escape(refused.sentence)) not in text:
            text = render(template, {"viewer": None, **values, "frame": frame | {"refused": refused.sentence}})
        whole = text.encode("utf-8", "replace")  # half a character, which JSON can hold, would close the page
        response = HTMLResponse(whole, status, {"cache-control": "no-store", "vary": "cookie"})
        if MESSAGE_COOKIE in request.cookies:
            response.delete_cookie(MESSAGE_COOKIE, **cookie_reach(request))
        return response

    def error_page(self, request: Request, viewer: Viewer | None, error: Exception) -> Response:
        number = secrets.token_hex(3)
        path = _address(request).partition("?")[0]  # quoted, so that no escape sequence in it reaches a terminal
        if isinstance(error, RegistryError):
            log.warning("%s %.300s refused, request %s: %.300r", request.method, path, number, str(error))
        else:
            log.error("%s %.300s failed, request %s", request.method, path, number, exc_info=error)
            error = from_system(error) or InternalError()
        values = {"viewer": viewer, "sentence": str(error), "code": error.status, "number": number}
        return self.html(request, "error.html", error.status, **values)

    async def not_found(self, request: Request, error: Exception) -> Response:
        """The response at an unknown address: a page for browsers, JSON for other clients."""
        if "text/html" not in request.headers.get("accept", ""):
            return await middleware.http_error(request, error)
        viewer = await run_in_threadpool(viewer_of_session, request, self.store)
        return self.error_page(request, viewer, NotFound(f"There is nothing at {request.url.path}."))


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form. Of several with the same name the last one counts."""
    body = await whole_body(request, LARGEST_FORM)
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def _sign_in_first(request: Request) -> Response:
    """Redirects to the sign-in page, which leads back to this address."""
    wanted = _address(request) if request.method == "GET" else ""
    next = {} if wanted in ("", addresses.at("/")) else {"next": wanted}
    return RedirectResponse(addresses.with_query(addresses.at("/login"), next), 303)


def _data(request: Request, answer: Data) -> Response:
    """Data as JSON, compressed if the browser takes that: no secret is in it that a length could tell."""
    body, headers = answer.text.encode(), {"cache-control": "no-store", "vary": "cookie, accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers = gzip.compress(body, 4), headers | {"content-encoding": "gzip"}
    return Response(body, media_type="application/json", headers=headers)


def _address(request: Request) -> str:
    query = request.url.query
    return quote(request.scope["path"], safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def _fitting(message: str) -> str:
    """The message, without its end where a browser would refuse it as a cookie."""
    while len(quote(message)) > LARGEST_MESSAGE:
        message = cut(message, len(message) * 3 // 4)
    return message


def _redirect(request: Request, answer: Redirect) -> Response:
    response = RedirectResponse(answer.address, 303)
    if answer.message:
        value = quote(f"{' '.join(map(str, answer.events))}|{_fitting(answer.message)}")
        reach = cookie_reach(request)
        response.set_cookie(MESSAGE_COOKIE, value, max_age=30, httponly=True, samesite="strict", **reach)
    return response
