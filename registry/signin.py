"""Tells which account a request comes from: a key, as the SDK sends it, or a browser's session."""

import base64

from starlette.requests import Request

from registry.errors import NotSignedIn
from registry.model import accounts
from registry.model.access import Who
from registry.store import Store

COOKIE = "registry_session"
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
    sealed = request.cookies.get(COOKIE)
    user = store.signer.open("SESSION", sealed) if sealed else None
    if user is None:
        return None
    with store.db.read() as db:
        return accounts.who_is(db, int(user))


def session(store: Store, who: Who) -> str:
    """The cookie's value for this account."""
    return store.signer.seal("SESSION", str(who.user_id), SESSION_SECONDS)


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
