"""Finds the account that sends a request: by the SDK's API key or access token, or by a browser's session."""

import base64
import hmac
import secrets
import sqlite3
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from wandb_registry.errors import DatabaseAway, NotSignedIn, StoreFull
from wandb_registry.model.access import Viewer
from wandb_registry.model.accounts import users
from wandb_registry.store import Store

SESSION = "SESSION-2"  # with the version of the cookie's format: older cookies are refused
ACCESS = "ACCESS-1"  # likewise, of access tokens
SESSION_SECONDS = 30 * 24 * 3600


def viewer_of_request(request: Request, store: Store) -> Viewer:
    """The account of the request's API key. Raises NotSignedIn."""
    key = _key(request)
    if key is None:
        raise NotSignedIn(
            "This registry wants an API key. Set WANDB_API_KEY, or run 'wandb login --host' with its address."
        )
    opened = store.signer.open(ACCESS, key)
    if opened:
        return _viewer_of_access_token(opened, store)
    viewer, is_news = users.use_key(store.db, key)
    if is_news:
        full = (sqlite3.OperationalError, StoreFull, DatabaseAway)
        with suppress(*full), store.db.write() as db:  # a full disk refuses nobody
            users.note_use(db, key, request.client.host if request.client else None)
    return viewer


def access_token(store: Store, viewer: Viewer, seconds: int) -> str:
    """What signs requests of this account for so many seconds, where a key would."""
    return store.signer.seal(ACCESS, f"{viewer.user_id}-{time.time_ns()}-{secrets.token_hex(8)}", seconds)


def _viewer_of_access_token(opened: str, store: Store) -> Viewer:
    user, since, _ = opened.split("-")
    with store.db.read() as db:
        viewer = users.viewer_since(db, int(user), int(since))
    if viewer is None:
        raise NotSignedIn("The account of this access token has ended, or a key of it was revoked since.")
    return replace(viewer, short_lived=True)


def viewer_of_session(request: Request, store: Store) -> Viewer | None:
    """The account of the browser's session; None if it isn't signed in."""
    session_id = _session(request, store)
    if session_id is None:
        return None
    user, since, _ = session_id.split("-")
    with store.db.read() as db:
        return None if users.is_ended(db, session_id) else users.viewer_since(db, int(user), int(since))


def cookie(request: Request) -> str:
    """The name of the session's cookie. Browsers share cookies between a host's ports, and with the paths below one:
    it holds both.
    """
    return f"registry_session_{request.url.port or ''}{request.scope.get('root_path', '').replace('/', '_')}"


def cookie_reach(request: Request) -> dict[str, Any]:
    """Where a browser sends a cookie: below the registry's own path, and over TLS alone where it is reached so."""
    return {"path": f"{request.scope.get('root_path', '')}/", "secure": request.url.scheme == "https"}


def session(store: Store, viewer: Viewer, seconds: int = SESSION_SECONDS) -> str:
    """The cookie's value for a new session of this account."""
    return store.signer.seal(SESSION, f"{viewer.user_id}-{time.time_ns()}-{secrets.token_hex(8)}", seconds)


def sign_out(request: Request, store: Store) -> None:
    """Ends the browser's session. A copy of its cookie is worthless from then on."""
    session_id = _session(request, store)
    if session_id is not None:
        with store.db.write() as db:
            users.end_session(db, session_id, SESSION_SECONDS)


def form_token(request: Request, store: Store) -> str:
    """The CSRF token of a session's forms. Another site can make a browser send a form, but doesn't know this token."""
    return store.signer.mark("FORM", request.cookies.get(cookie(request), ""))


def is_own_form(request: Request, store: Store, token: str) -> bool:
    return hmac.compare_digest(form_token(request, store).encode(), token.encode())


def _session(request: Request, store: Store) -> str | None:
    """The session in the cookie, as USER-START-RANDOM; None unless this store signed it."""
    sealed = request.cookies.get(cookie(request))
    return store.signer.open(SESSION, sealed) if sealed else None


def _key(request: Request) -> str | None:
    """The API key: a bearer token, or the password of basic authentication, which the SDK uses."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return None
