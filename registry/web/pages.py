"""The pages: each address that a person or the SDK's printed links may open.

Everything is read at start, so that the server outlives the folder it was started from.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from registry.bodies import whole_body
from registry.errors import NotFound, NotSignedIn
from registry.model import accounts
from registry.model.access import Who
from registry.signin import COOKIE, SESSION_SECONDS, session, who_asks, who_looks
from registry.store import Store
from registry.web import views

HERE = Path(__file__).parent
TEMPLATES = {path.name: path.read_text() for path in (HERE / "templates").glob("*.html")}
STATIC = {path.name: path.read_bytes() for path in (HERE / "static").iterdir()}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

LARGEST_FORM = 2**16

View = Callable[..., dict[str, Any]]


@cache
def templates():
    """Jinja, imported at the first page: stages never look at one."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    return Environment(loader=DictLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(templates().get_template(template).render(values), status)


def routes(store: Store) -> list[Route]:
    pages = Pages(store)
    return [
        Route("/", pages.show("home.html", views.home)),
        Route("/static/{name}", pages.static),
        Route("/login", pages.login, methods=["GET", "POST"]),
        Route("/login/token", pages.login_token, methods=["POST"]),
        Route("/logout", pages.logout, methods=["POST"]),
        Route("/registry/model", pages.show("models.html", views.models)),
        Route("/orgs/{org}/registry/{name}", pages.show("models.html", views.models)),
        Route("/{entity}/registry/model", pages.show("models.html", views.models)),
        Route("/{entity}", pages.show("home.html", views.home)),
        Route("/{entity}/{project}", pages.show("project.html", views.project)),
        Route("/{entity}/{project}/{tab:str}", pages.show("project.html", views.project)),
        Route("/{entity}/{project}/runs/{run}", pages.show("run.html", views.run)),
        Route("/{entity}/{project}/artifacts/{type}/{collection}", pages.show("artifact.html", views.artifact)),
        Route(
            "/{entity}/{project}/artifacts/{type}/{collection}/{version}", pages.show("artifact.html", views.artifact)
        ),
    ]


class Pages:
    """The pages of one store."""

    def __init__(self, store: Store):
        self.store = store

    def show(self, template: str, view: View) -> Callable:
        """A page for who is signed in; everybody else is asked to sign in first."""

        async def page(request: Request) -> Response:
            who = await run_in_threadpool(who_looks, request, self.store)
            if who is None:
                return RedirectResponse("/login", 303)
            return await run_in_threadpool(self._page, template, view, who, request)

        return page

    def _page(self, template: str, view: View, who: Who, request: Request) -> Response:
        with self.store.db.read() as db:
            try:
                found = view(db, who, **request.path_params)
            except NotFound as error:
                return render("error.html", 404, who=who, sentence=str(error))
        return render(template, who=who, **found)

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in STATIC:
            raise NotFound(f"There is nothing at {request.url.path}.")
        return Response(STATIC[name], media_type=MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream"))

    async def login(self, request: Request) -> Response:
        """Takes a one-time token from the address, or a key from the form."""
        if request.method == "GET" and "token" not in request.query_params:
            return self._sign_in_page(request)
        if request.method == "GET":
            who = await run_in_threadpool(self._spend, request.query_params["token"])
            problem = "This address was used already, or is too old. 'python -m registry open-url' prints a new one."
        else:
            form = parse_qs((await whole_body(request, LARGEST_FORM)).decode(errors="replace"))
            who = await run_in_threadpool(self._of_key, form.get("key", [""])[0])
            problem = "No account has this key. Keys have 40 characters or more."
        if who is None:
            return self._sign_in_page(request, problem)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, session(self.store, who), max_age=SESSION_SECONDS, httponly=True, samesite="lax")
        return answer

    async def login_token(self, request: Request) -> Response:
        """A one-time token for whoever asks with a key."""
        who = await run_in_threadpool(who_asks, request, self.store)
        return JSONResponse({"token": await run_in_threadpool(self._new_token, who)})

    async def logout(self, _request: Request) -> Response:
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE)
        return answer

    def _sign_in_page(self, request: Request, problem: str | None = None) -> Response:
        return render("login.html", 403 if problem else 200, host=request.url.netloc, problem=problem)

    def _spend(self, token: str) -> Who | None:
        with self.store.db.write() as db:
            return accounts.use_login_token(db, token)

    def _of_key(self, key: str) -> Who | None:
        try:
            with self.store.db.read() as db:
                return accounts.sign_in(db, key)
        except NotSignedIn:
            return None

    def _new_token(self, who: Who) -> str:
        with self.store.db.write() as db:
            return accounts.new_login_token(db, who.user_id)
