"""The middleware of all requests: checks host and origin, limits times, adds security headers. And error responses."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wandb_registry.errors import InternalError, NotFound, RegistryError, from_system
from wandb_registry.http.own_address import OwnAddress
from wandb_registry.http.request_log import AnsweredRequest

log = logging.getLogger("wandb_registry")
TIMEOUT = 120.0  # seconds that a client may take to send the next PROGRESS bytes, or to read the next chunk
PROGRESS = 64 * 2**10  # half a KiB a second, less than the slowest network
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; script-src 'self'; "
        b"connect-src 'self'; font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        b"frame-ancestors 'none'",
    ),
]


@dataclass
class RequestTracker:
    """How many requests are under way, and when the last one ended."""

    last_end: float = field(default_factory=time.monotonic)
    in_flight: int = 0

    @property
    def idle_seconds(self) -> float:
        return 0.0 if self.in_flight else time.monotonic() - self.last_end


class SecurityMiddleware:
    """Refuses requests that a foreign web page makes a browser send here. Limits the time of all others."""

    def __init__(
        self,
        app: ASGIApp,
        tracker: RequestTracker,
        own: OwnAddress,
        watchers: Sequence[Callable[[AnsweredRequest], None]] = (),
        timeout: float = TIMEOUT,
    ):
        self.app, self.tracker, self.own, self.watchers, self.timeout = app, tracker, own, watchers, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.tracker.in_flight += 1
        try:
            headers = Headers(scope=scope)
            app = self._refusal(headers) or self._preflight(scope["method"], headers) or self.app
            self.own.apply(scope)
            if self.watchers:
                send = _watched(send, scope, self.watchers)
            send = _with_security_headers(_with_send_timeout(send, self.timeout))
            await app(scope, _with_receive_timeout(receive, self.timeout), send)
        finally:
            self.tracker.in_flight -= 1
            self.tracker.last_end = time.monotonic()

    def _refusal(self, headers: Headers) -> Response | None:
        try:
            self.own.check(headers.getlist("host"), headers.get("origin"))
        except RegistryError as error:
            return error_response(error)
        return None

    def _preflight(self, method: str, headers: Headers) -> Response | None:
        """The response to a CORS preflight; foreign origins don't come this far. `wandb verify` sends one."""
        if method != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        allowed = {"access-control-allow-origin": headers.get("origin", ""), "access-control-allow-methods": "GET, PUT"}
        return Response(status_code=204, headers=allowed)


def _with_receive_timeout(receive: Receive, timeout: float) -> Receive:
    """Treats a client as disconnected if its body stops or trickles: each PROGRESS bytes may take `timeout` seconds.

    Once the body is whole there is no limit: then the app waits for the client to disconnect.
    """
    left, received, whole = timeout, 0, False

    async def limited_receive() -> Message:
        nonlocal left, received, whole
        if whole:
            return await receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(left):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        left -= time.monotonic() - began
        received += len(message.get("body", b""))
        if received >= PROGRESS:
            left, received = timeout, 0
        whole = not message.get("more_body", False)
        return message

    return limited_receive


def _with_send_timeout(send: Send, timeout: float) -> Send:
    """Ends the response to a client that reads no further, so that its files are closed."""

    async def limited_send(message: Message) -> None:
        try:
            async with asyncio.timeout(timeout):
                await send(message)
        except TimeoutError:
            raise ClientDisconnect from None

    return limited_send


def _watched(send: Send, scope: Scope, watchers: Sequence[Callable[[AnsweredRequest], None]]) -> Send:
    """Tells the watchers of the request once the last of its answer is out."""
    began, status = time.monotonic(), 0

    async def watched_send(message: Message) -> None:
        nonlocal status
        await send(message)
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            client = scope["client"][0] if scope.get("client") else None
            request = AnsweredRequest(scope["method"], path, status, time.monotonic() - began, client)
            for watch in watchers:
                watch(request)

    return watched_send


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}  # an uploaded page in its frame has a stricter policy
            message["headers"] = [*message["headers"], *(pair for pair in SECURITY_HEADERS if pair[0] not in own)]
        await send(message)

    return send_with_headers


def error_response(error: RegistryError) -> JSONResponse:
    """An error in the form that the SDK reads, from GraphQL and from other endpoints."""
    body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}], "error": str(error), "data": None}
    headers = {"www-authenticate": 'Basic realm="registry"'} if error.status == 401 else None
    return JSONResponse(body, error.status, headers)


async def _registry_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RegistryError)
    return error_response(error)


async def _client_disconnected(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody is left to read it


async def http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return error_response(NotFound(f"There is nothing at {request.url.path}."))
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    known = from_system(error)
    if known is None:
        log.error("%s %.300r failed", request.method, request.url.path, exc_info=error)
    return error_response(known or InternalError())


EXCEPTION_HANDLERS = {
    RegistryError: _registry_error,
    ClientDisconnect: _client_disconnected,
    HTTPException: http_error,
    OSError: _unexpected_error,
    OverflowError: _unexpected_error,
    UnicodeEncodeError: _unexpected_error,
    sqlite3.Error: _unexpected_error,
    Exception: _unexpected_error,
}
