"""An issuer that signs whatever a test wants: honest tokens of CI, and all that an attacker would try."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import Key, KeySet, RSAKey

ALGORITHMS = ["RS256", "ES256"]


class Issuer:
    """Its address, its keys, and the ID token that its token endpoint answers with."""

    def __init__(self):
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
        self.published: list[Key] = [self.key]
        self.named: str | None = None  # as what it presents itself, if not by its address
        self.asked: list[str] = []
        self.answer: Callable[[], dict[str, Any]] = dict
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def token(self, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        """A token with these claims; those that are None are left out."""
        now = int(time.time())
        all_claims = {"iss": self.url, "sub": "mika", "iat": now, "exp": now + 300} | claims
        wanted = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "first"} | (header or {}), wanted, key or self.key, ALGORITHMS)

    def documents(self) -> dict[str, Any]:
        endpoints = {f"{name}_endpoint": f"{self.url}/{name}" for name in ("authorization", "token", "end_session")}
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.named or self.url,
                "jwks_uri": f"{self.url}/keys",
                **endpoints,
            },
            "/keys": KeySet(self.published).as_dict(private=False),
        }


def unsigned(token: str) -> str:
    """The token with the algorithm 'none' and without its signature."""
    return with_header(token, alg="none").rpartition(".")[0] + "."


def hmac_signed(token: str, secret: bytes) -> str:
    """The token with the algorithm HS256, signed by a secret. joserfc wouldn't sign by what looks like a public key."""
    signed = with_header(token, alg="HS256").rpartition(".")[0]
    return f"{signed}.{_part(hmac.digest(secret, signed.encode(), 'sha256'))}"


def with_header(token: str, **header: Any) -> str:
    """The token with another header before its claims and its old signature."""
    first, payload, signature = token.split(".")
    return f"{_part(json.dumps(_read(first) | header).encode())}.{payload}.{signature}"


def altered(token: str, **claims: Any) -> str:
    """The token with other claims under its old signature."""
    header, payload, signature = token.split(".")
    return f"{header}.{_part(json.dumps(_read(payload) | claims).encode())}.{signature}"


def _read(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@contextmanager
def forging_issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            self._answer(issuer.documents().get(self.path))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            issuer.asked.append(self.path)
            self._answer(issuer.answer())

        def _answer(self, found: dict[str, Any] | None) -> None:
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(found or {}).encode())

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Handler
