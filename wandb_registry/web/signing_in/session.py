"""Signing in and out, and the choice between light and dark."""

import time
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from wandb_registry.errors import Forbidden, KeyEnded, NotSignedIn
from wandb_registry.http.authentication import (
    SESSION_SECONDS,
    cookie,
    cookie_reach,
    is_own_form,
    session,
    sign_out,
    viewer_of_request,
    viewer_of_session,
)
from wandb_registry.model import access
from wandb_registry.model.access import Viewer
from wandb_registry.model.accounts import users
from wandb_registry.web import addresses
from wandb_registry.web.endpoints import THEME_COOKIE, Endpoints, read_form

YEAR = 365 * 24 * 3600


class SessionEndpoints:
    """The endpoints of one store that sign in and out and set the theme."""

    def __init__(self, endpoints: Endpoints, provider: str | None):
        """`provider`: the name of the one that people may sign in at."""
        self.store, self.endpoints, self.provider = endpoints.store, endpoints, provider

    async def login(self, request: Request) -> Response:
        """Signs in by a one-time token in the address or an API key in the form; else shows the form."""
        if request.method == "GET" and "token" not in request.query_params:
            return self.page(request)
        if request.method == "GET":
            viewer = await run_in_threadpool(self._viewer_of_token, request.query_params["token"])
            problem = "This address was used already, or is too old. 'wandb-registry open-url' prints a new one."
        else:
            key = (await read_form(request)).get("key", "")
            viewer, problem = await run_in_threadpool(self._viewer_of_key, key)
        if viewer is None:
            return self.page(request, problem)
        return await self.begin(request, viewer, request.query_params.get("next"), SESSION_SECONDS)

    async def begin(self, request: Request, viewer: Viewer, next: str | None, seconds: int) -> Response:
        """Begins a new session, whatever cookie the browser came with: one that somebody put there ends.

        It ends with the key that signs in, and after `seconds` at the latest.
        """
        await run_in_threadpool(sign_out, request, self.store)
        if viewer.until is not None:
            seconds = max(0, min(seconds, viewer.until - int(time.time())))
        answer = RedirectResponse(local_address(next), 303)
        value, reach = session(self.store, viewer, seconds), cookie_reach(request)
        answer.set_cookie(cookie(request), value, max_age=seconds, httponly=True, samesite="lax", **reach)
        return answer

    async def login_token(self, request: Request) -> Response:
        """Returns a one-time token for the account whose API key the request has, and the address that it opens."""
        viewer = await run_in_threadpool(viewer_of_request, request, self.store)
        access.needs_lasting(viewer)
        token = await run_in_threadpool(self._new_token, viewer)
        return JSONResponse({"token": token, "address": f"{request.base_url}login?token={token}"})

    async def logout(self, request: Request) -> Response:
        form = await read_form(request)
        if not is_own_form(request, self.store, form.get("token", "")):
            viewer = await run_in_threadpool(viewer_of_session, request, self.store)
            return self.endpoints.error_page(
                request, viewer, Forbidden("This form was not made by this registry's pages.")
            )
        await run_in_threadpool(sign_out, request, self.store)
        answer = RedirectResponse(addresses.at("/login?left=1" if self.provider else "/login"), 303)
        answer.delete_cookie(cookie(request), **cookie_reach(request), httponly=True, samesite="lax")
        return answer

    async def theme(self, request: Request) -> Response:
        """Sets the theme, light or dark, in a cookie of this browser."""
        form = await read_form(request)
        answer = RedirectResponse(local_address(form.get("next")), 303)
        theme = "dark" if form.get("theme") == "dark" else "light"
        answer.set_cookie(THEME_COOKIE, theme, max_age=YEAR, samesite="lax", **cookie_reach(request))
        return answer

    def page(self, request: Request, problem: str | None = None, status: int = 403) -> Response:
        """The page to sign in at, with what went wrong."""
        shown = {
            "host": f"{request.url.netloc}{addresses.at('')}",
            "folder": self.store.folder.name,
            "problem": problem,
            "next": local_address(request.query_params.get("next")),
            "provider": self.provider,
            "left": "left" in request.query_params,
        }
        return self.endpoints.html(request, "login.html", status if problem else 200, **shown)

    def _viewer_of_token(self, token: str) -> Viewer | None:
        with self.store.db.write() as db:
            return users.use_login_token(db, token)

    def _viewer_of_key(self, key: str) -> tuple[Viewer | None, str]:
        """The account of the key, or why there is none."""
        try:
            with self.store.db.read() as db:
                return users.sign_in(db, key.strip()), ""
        except KeyEnded as error:
            return None, str(error)
        except NotSignedIn:
            return None, "No account has this key. Keys have 40 characters or more."

    def _new_token(self, viewer: Viewer) -> str:
        with self.store.db.write() as db:
            return users.new_login_token(db, viewer.user_id, viewer.until)


def local_address(address: str | None) -> str:
    """The address, if it is one of this registry; else its home page, so that no link can redirect to another site."""
    home, wanted = addresses.at("/"), address or ""
    parts = urlsplit(wanted)
    inside = wanted.startswith(home) and not parts.scheme and not parts.netloc and "\\" not in wanted
    return quote(wanted, safe="/:@!$&'()*+,;=~?#%") if inside else home
