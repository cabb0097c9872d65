"""Tells which account a request comes from: a key, as the SDK sends it, or a browser's session."""

import base64
import hmac
import secrets
import time

from starlette.requests import Request

from wandb_registry.errors import NotSignedIn
from wandb_registry.model.access import Viewer
from wandb_registry.model.accounts import users
from wandb_registry.store import Store

SESSION = "SESSION-2"  # the second form: cookies of the first sign nobody in
SESSION_SECONDS = 30 * 24 * 3600


def viewer_of_request(request: Request, store: Store) -> Viewer:
    """The account of the request's API key."""
    key = _key(request)
    if key is None:
        raise NotSignedIn(
            "This registry wants an API key. Set WANDB_API_KEY, or run 'wandb login --host' with its address."
        )
    with store.db.read() as db:
        return users.sign_in(db, key)


def viewer_of_session(request: Request, store: Store) -> Viewer | None:
    """The account of the browser's session, if it has one."""
    session_id = _session(request, store)
    if session_id is None:
        return None
    user, since, _ = session_id.split("-")
    with store.db.read() as db:
        return None if users.is_ended(db, session_id) else users.viewer_since(db, int(user), int(since))


def cookie(request: Request) -> str:
    """The name of the session's cookie. Browsers share cookies between the ports of a host, so it holds the port."""
    return f"registry_session_{request.url.port or ''}"


def session(store: Store, viewer: Viewer) -> str:
    """The cookie's value for this account."""
    return store.signer.seal(SESSION, f"{viewer.user_id}-{time.time_ns()}-{secrets.token_hex(8)}", SESSION_SECONDS)


def sign_out(request: Request, store: Store) -> None:
    """Ends the browser's session: whoever has kept its cookie is signed out as well."""
    session_id = _session(request, store)
    if session_id is not None:
        with store.db.write() as db:
            users.end_session(db, session_id, SESSION_SECONDS)


def form_token(request: Request, store: Store) -> str:
    """What each form of a session carries: another site can make a browser send a form, but not this with it."""
    return store.signer.mark("FORM", request.cookies.get(cookie(request), ""))


def is_own_form(request: Request, store: Store, token: str) -> bool:
    return hmac.compare_digest(form_token(request, store).encode(), token.encode())


def _session(request: Request, store: Store) -> str | None:
    """The session that the cookie names, as USER-BEGINNING-NUMBER, if this store gave it out."""
    sealed = request.cookies.get(cookie(request))
    return store.signer.open(SESSION, sealed) if sealed else None


def _key(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return None
