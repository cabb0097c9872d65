"""Tells which account a request comes from: a key, as the SDK sends it, or a browser's session."""

import base64
import hmac

from starlette.requests import Request

from registry.errors import NotSignedIn
from registry.model import accounts
from registry.model.access import Who
from registry.store import Store

SESSION_SECONDS = 30 * 24 * 3600


def who_asks(request: Request, store: Store) -> Who:
    """The account of the request's API key."""
    key = _key(request)
    if key is None:
        raise NotSignedIn(
            "This registry wants an API key. Set WANDB_API_KEY, or run 'wandb login --host' with its address."
        )
    with store.db.read() as db:
        return accounts.sign_in(db, key)


def who_looks(request: Request, store: Store) -> Who | None:
    """The account of the browser's session, if it has one."""
    sealed = request.cookies.get(cookie(request))
    user = store.signer.open("SESSION", sealed) if sealed else None
    if user is None:
        return None
    with store.db.read() as db:
        return accounts.who_is(db, int(user))


def cookie(request: Request) -> str:
    """The name of the session's cookie. Browsers share cookies between the ports of a host, so it holds the port."""
    return f"registry_session_{request.url.port or ''}"


def session(store: Store, who: Who) -> str:
    """The cookie's value for this account."""
    return store.signer.seal("SESSION", str(who.user_id), SESSION_SECONDS)


def form_token(request: Request, store: Store) -> str:
    """What each form of a session carries: another site can make a browser send a form, but not this with it."""
    return store.signer.mark("FORM", request.cookies.get(cookie(request), ""))


def is_own_form(request: Request, store: Store, token: str) -> bool:
    return hmac.compare_digest(form_token(request, store).encode(), token.encode())


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
