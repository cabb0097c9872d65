"""Connections of clients: each must say what it wants soon and in few bytes, so that those that never do can't keep
others out. What comes behind a request's head is the middleware's to watch.
"""

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 30.0  # that the head of a request may take
LARGEST_HEAD = 128 * 2**10
MOST_FILES = 2**16
MOST_WAITING = 2048


class Waiting:
    """The connections of one server on which no request is under way. Where too many wait, the oldest is let go."""

    def __init__(self, most: int):
        self.most = most
        self._timers: dict[ClientConnection, asyncio.TimerHandle] = {}

    def begin(self, connection: "ClientConnection") -> None:
        self.end(connection)
        self._timers[connection] = connection.loop.call_later(HEAD_SECONDS, connection.transport.abort)
        if len(self._timers) > self.most:
            oldest = next(iter(self._timers))
            self.end(oldest)
            oldest.transport.abort()

    def end(self, connection: "ClientConnection") -> None:
        if timer := self._timers.pop(connection, None):
            timer.cancel()


class ClientConnection(HttpToolsProtocol):
    """One connection of a client."""

    waiting: Waiting
    most: int  # connections that may be open
    _head = 0  # bytes since the last request, or piece of its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.waiting.begin(self)
        if len(self.connections) > self.most:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.end(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        super().data_received(data)
        if self._head > LARGEST_HEAD:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.waiting.begin(self)

    def on_headers_complete(self) -> None:
        self.waiting.end(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():  # else the next one is under way
            self.waiting.begin(self)


def protocol() -> type[ClientConnection]:
    """The connections of one server. A quarter of the files that the system lets it open is not for them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most_files = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, hard))
    most_waiting = min(MOST_WAITING, most_files // 8)
    return type(
        "ClientConnection", (ClientConnection,), {"waiting": Waiting(most_waiting), "most": most_files * 3 // 4}
    )
