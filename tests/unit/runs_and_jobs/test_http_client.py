"""Each way in which a registry gives no answer is a sentence that names it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.client.http_client import RegistryClient
from dvc_wandb.errors import RegistryUnavailableError

NO_SERVER = "is not a W&B server; check WANDB_BASE_URL"


class Answer(BaseHTTPRequestHandler):
    status, body, more = 200, b"", 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body) + self.more))
        self.end_headers()
        self.wfile.write(self.body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, b"<html>", NO_SERVER),
        (200, b"[]", NO_SERVER),
        (200, b'{"data": null}', NO_SERVER),
        (200, b'{"errors": [{"message": "there is no field x"}]}', "answers: there is no field x"),
        (200, b'{"data": {"viewer": null}}', "refuses the API key; check WANDB_API_KEY"),
        (401, b"", "refuses the API key; check WANDB_API_KEY"),
        (403, b"", "refuses the API key; check WANDB_API_KEY"),
        (502, b"<html>", "answers with HTTP 502"),
        (507, b'{"error": "the disk is full"}', "answers with HTTP 507: the disk is full"),
    ],
)
def test_what_is_no_answer(monkeypatch: pytest.MonkeyPatch, address: str, status: int, body: bytes, says: str):
    monkeypatch.setattr(Answer, "status", status)
    monkeypatch.setattr(Answer, "body", body)
    with pytest.raises(RegistryUnavailableError) as raised:
        RegistryConnection(address, "local", "digits", embedded=False).check()
    assert str(raised.value).endswith(says)
    assert address in str(raised.value)


def test_an_answer_that_is_cut_off(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setattr(Answer, "more", 100)
    with pytest.raises(RegistryUnavailableError, match=r"doesn't answer \(.*100 more expected"):
        RegistryClient(address).graphql("{ viewer { id } }")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9", r"doesn't answer \(\[Errno 111\] Connection refused\)"),
        ("digits.example", NO_SERVER),
    ],
)
def test_where_nobody_is(monkeypatch: pytest.MonkeyPatch, url: str, says: str):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with pytest.raises(RegistryUnavailableError, match=says):
        RegistryClient(url).graphql("{ viewer { id } }")


def test_who_is_silent_is_asked_for_as_long_as_was_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = RegistryClient(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(RegistryUnavailableError, match=r"doesn't answer within 0\.2 seconds"):
            client.get("/activity", timeout=0.2)


@pytest.mark.parametrize("body", [b"[]", b"3", b"<html>", b"{}"])
def test_what_is_no_access_token_is_a_refusal(
    address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: bytes
):
    """JSON that is no object ended in a traceback."""
    (tmp_path / "token").write_text("x.y.z")
    monkeypatch.setenv("WANDB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setattr(Answer, "body", body)
    with pytest.raises(RegistryUnavailableError, match=r"refuses the token in .*: HTTP 200"):
        RegistryClient(address).graphql("{ viewer { id } }")
