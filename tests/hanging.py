"""What stands before a registry: it counts what that is asked, and may fall silent midway."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from urllib.parse import urlsplit


class Hanging:
    """Passes the first requests on to a registry, and leaves all that follow without an answer; `left` counts down.

    `silent_since` is when the first request was left without an answer, by time.monotonic().
    """

    def __init__(self, behind: str, answered: int) -> None:
        self._behind = urlsplit(behind)
        self.left = answered
        self.silent_since: float | None = None
        self._server = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def silent_seconds(self) -> float:
        """How long it has been silent: what a command waited, without the start of its Python."""
        return time.monotonic() - (self.silent_since or time.monotonic())

    def _accept(self) -> None:
        while True:
            client, _ = self._server.accept()
            registry = socket.create_connection((self._behind.hostname, self._behind.port))
            for pair in (client, registry), (registry, client):
                threading.Thread(target=self._pass, args=(*pair, pair[0] is client), daemon=True).start()

    def _pass(self, come: socket.socket, go: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := come.recv(2**16):
                if counted and re.match(rb"(GET|POST|PUT|HEAD) /", piece):
                    self.left -= 1
                    if self.left == -1:
                        self.silent_since = time.monotonic()
                if self.left >= 0:
                    go.sendall(piece)
            if self.left >= 0:  # what hangs doesn't hang up either
                go.shutdown(socket.SHUT_WR)
