"""An S3 server behind a door that counts what goes in, and that can be shut: 503, silence, full."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from tests.engines.team_bucket import S3

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>{}</Message></Error>'
Fault = Callable[[str, str], tuple[int, str] | None]  # of a method and a path: the status and S3's code; None: no fault


class Door:
    """The door: its address, what went in, and what it does instead of passing on."""

    def __init__(self, server: S3):
        self.received: list[tuple[str, str, int]] = []  # method, path, bytes of the body
        self.fault: Fault | None = None
        self._silence = threading.Event()
        self._silence.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(server))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def bytes_of(self, *paths: str) -> int:
        """The bytes that were sent to objects whose keys end so."""
        return sum(size for method, path, size in self.received if method == "PUT" and path.endswith(paths))

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Takes requests and answers none of them until the block ends."""
        self._silence.clear()
        try:
            yield
        finally:
            self._silence.set()

    def close(self) -> None:
        self._silence.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self, server: S3) -> type[BaseHTTPRequestHandler]:
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = unquote(urlsplit(self.path).path)
                door._silence.wait()
                fault = door.fault(self.command, path) if door.fault else None
                if fault:
                    self._answer(fault[0], {}, ERROR.format(fault[1], "On purpose").encode())
                    return
                inner = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                try:
                    inner.request(self.command, self.path, body, dict(self.headers))
                    answer = inner.getresponse()
                    content, headers = answer.read(), dict(answer.headers)
                finally:
                    inner.close()
                door.received.append((self.command, path, len(body)))
                self._answer(answer.status, headers, content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                given = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
                self.send_header("Content-Length", given)
                self.end_headers()
                if self.command != "HEAD":
                    with suppress(ConnectionError):  # whom the silence was too long for
                        self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        return Handler


@contextmanager
def door(server: S3) -> Iterator[Door]:
    made = Door(server)
    try:
        yield made
    finally:
        made.close()
