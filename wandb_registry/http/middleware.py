"""What every request passes: the check of its host and origin, the count of those under way, the form of errors."""

import asyncio
import logging
import sqlite3
import time
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wandb_registry.errors import Fault, Forbidden, NotFound, RegistryError, from_system

log = logging.getLogger("wandb_registry")
PATIENCE = 120.0  # seconds that a client may take to send the next PACE bytes, or to read the next piece
PACE = 64 * 2**10  # half a KiB a second: the slowest line is faster
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; script-src 'self'; "
        b"connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
]


@dataclass
class Activity:
    """When the last request ended, and how many are under way."""

    last: float = field(default_factory=time.monotonic)
    running: int = 0

    @property
    def idle_seconds(self) -> float:
        return 0.0 if self.running else time.monotonic() - self.last


class Guard:
    """Refuses what a foreign web page makes a browser send here, and counts the rest."""

    def __init__(self, app: ASGIApp, activity: Activity, loopback: bool, patience: float = PATIENCE):
        self.app, self.activity, self.loopback, self.patience = app, activity, loopback, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.activity.running += 1
        try:
            headers = Headers(scope=scope)
            app = self._refusal(headers) or self._preflight(scope["method"], headers) or self.app
            await app(scope, _impatient(receive, self.patience), _hardened(_in_time(send, self.patience)))
        finally:
            self.activity.running -= 1
            self.activity.last = time.monotonic()

    def _refusal(self, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if self.loopback and _parts(f"//{host}").hostname not in LOOPBACK_NAMES:
            return _answer(Forbidden(f"This registry answers at 127.0.0.1 and localhost only, not as '{host}'."))
        origin = headers.get("origin")
        if origin and _parts(origin).netloc != host:
            return _answer(Forbidden(f"Requests from pages of '{origin}' are refused."))
        return None

    def _preflight(self, method: str, headers: Headers) -> Response | None:
        """What a browser asks before it moves a file; only our own pages come this far. `wandb verify` asks too."""
        if method != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        allowed = {"access-control-allow-origin": headers.get("origin", ""), "access-control-allow-methods": "GET, PUT"}
        return Response(status_code=204, headers=allowed)


def _parts(address: str) -> SplitResult:
    """The parts of an address; of one that is none, nothing."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _impatient(receive: Receive, patience: float) -> Receive:
    """A body that stops coming, or trickles, counts as hung up: of all the waiting for it, only so much is allowed for
    each PACE bytes. What waits behind a whole body, for the client to go, may wait.
    """
    left, came, whole = patience, 0, False

    async def receive_in_time() -> Message:
        nonlocal left, came, whole
        if whole:
            return await receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(left):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        left -= time.monotonic() - began
        came += len(message.get("body", b""))
        if came >= PACE:
            left, came = patience, 0
        whole = not message.get("more_body", False)
        return message

    return receive_in_time


def _in_time(send: Send, patience: float) -> Send:
    """A client that reads no further is given up, and what was opened for it is closed."""

    async def send_in_time(message: Message) -> None:
        try:
            async with asyncio.timeout(patience):
                await send(message)
        except TimeoutError:
            raise ClientDisconnect from None

    return send_in_time


def _hardened(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *SECURITY_HEADERS]
        await send(message)

    return send_with_headers


def _answer(error: RegistryError) -> JSONResponse:
    """An error as the SDK reads it, whether it asked in GraphQL or not."""
    body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}], "error": str(error), "data": None}
    headers = {"www-authenticate": 'Basic realm="registry"'} if error.status == 401 else None
    return JSONResponse(body, error.status, headers)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RegistryError)
    return _answer(error)


async def _vanished(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it: the client hung up


async def unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _answer(NotFound(f"There is nothing at {request.url.path}."))
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    known = from_system(error)
    if known is None:
        log.error("%s %.300r failed", request.method, request.url.path, exc_info=error)
    return _answer(known or Fault())


HANDLERS = {
    RegistryError: _refused,
    ClientDisconnect: _vanished,
    HTTPException: unknown,
    OSError: _failed,
    OverflowError: _failed,
    UnicodeEncodeError: _failed,
    sqlite3.Error: _failed,
    Exception: _failed,
}
