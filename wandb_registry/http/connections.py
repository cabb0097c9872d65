"""Connections of clients. Limits on the head of a request keep slow or endless clients from blocking others.

The middleware limits the body of a request.
"""

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT = 30.0  # seconds
LARGEST_HEAD = 128 * 2**10  # bytes
MOST_FILES = 2**16  # that the process may open
MOST_IDLE = 2048  # connections without a request


class IdleConnections:
    """The connections of one server that wait for a request. Each is closed after HEAD_TIMEOUT.

    If there are more than `most`, the one that has waited longest is closed.
    """

    def __init__(self, most: int):
        self.most = most
        self._timers: dict[ClientConnection, asyncio.TimerHandle] = {}

    def add(self, connection: "ClientConnection") -> None:
        self.remove(connection)
        self._timers[connection] = connection.loop.call_later(HEAD_TIMEOUT, connection.transport.abort)
        if len(self._timers) > self.most:
            oldest = next(iter(self._timers))
            self.remove(oldest)
            oldest.transport.abort()

    def remove(self, connection: "ClientConnection") -> None:
        if timer := self._timers.pop(connection, None):
            timer.cancel()


class ClientConnection(HttpToolsProtocol):
    """One connection of a client."""

    idle: IdleConnections
    most: int  # connections that may be open
    _head = 0  # bytes since the last request, or chunk of its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.idle.add(self)
        if len(self.connections) > self.most:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.idle.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        super().data_received(data)
        if self._head > LARGEST_HEAD:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.idle.add(self)

    def on_headers_complete(self) -> None:
        self.idle.remove(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():  # else the next request has begun
            self.idle.add(self)


def connection_class() -> type[ClientConnection]:
    """The class of one server's connections. They may use three quarters of the files that the process may open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most_files = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, hard))
    most_idle = min(MOST_IDLE, most_files // 8)
    return type(
        "ClientConnection", (ClientConnection,), {"idle": IdleConnections(most_idle), "most": most_files * 3 // 4}
    )
