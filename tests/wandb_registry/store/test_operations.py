"""What those who run a server ask of it: is it ready, how does it fare, what does it log, does it end gently."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import eventually
from tests.engines.proxy import free_port, serving
from tests.wandb_registry import by_hand
from tests.wandb_registry.conftest import Account, Registry, command
from tests.working_tree import ROOT


@dataclass(frozen=True)
class Watched(Account):
    """A server that keeps metrics and logs JSON."""

    store: Path
    log: Path


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder, port = tmp_path_factory.mktemp("watched"), free_port()
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "wandb_registry", "serve", "--port", str(port), "--metrics", "--log-format", "json"],
            cwd=ROOT,
            env=os.environ | {"REGISTRY_DIR": str(folder / "store")},
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
        made = Watched(f"http://127.0.0.1:{port}", "local", "", folder / "store", log)
        assert eventually(lambda: _answers(made))
        yield Watched(made.url, "local", (made.store / "api-key").read_text().strip(), made.store, log)
        process.terminate()
        process.wait(timeout=60)


def _answers(account: Account) -> bool:
    try:
        return account.send("GET", "/healthz", signed_in=False).status == 200
    except OSError:
        return False


def test_a_server_is_ready_while_its_store_answers(watched: Watched):
    assert watched.send("GET", "/readyz", signed_in=False).status == 200
    (watched.store / "blobs").rename(watched.store / "away")
    try:
        answer = watched.send("GET", "/readyz", signed_in=False)
        assert answer.status == 503
        assert answer.json()["error"].startswith("The store can't be read: [Errno 2] No such file")
        assert watched.send("GET", "/healthz", signed_in=False).status == 200
    finally:
        (watched.store / "away").rename(watched.store / "blobs")
    assert watched.send("GET", "/readyz", signed_in=False).status == 200


def test_metrics_count_requests_for_any_account(watched: Watched):
    assert watched.send("GET", "/metrics", signed_in=False).status == 401
    by_hand.log(watched, "counted", "model", {"a.txt": b"counted"})
    assert watched.send("GET", "/no/such/page", headers={"Accept": "text/html"}).status == 303
    text = watched.send("GET", "/metrics").text
    counts = dict(re.findall(r"^wandb_registry_requests_total\{(\S+)\} (\S+)$", text, flags=re.MULTILINE))
    assert float(counts['kind="graphql",method="POST",status="200"']) == 4
    assert float(counts['kind="file",method="PUT",status="200"']) == 2
    assert float(counts['kind="page",method="GET",status="303"']) == 1
    assert 'wandb_registry_request_seconds_count{kind="graphql"} 4.0' in text
    assert "wandb_registry_requests_in_flight 1.0" in text
    assert float(re.findall(r"^wandb_registry_free_bytes (\S+)", text, flags=re.MULTILINE)[0]) > 0


def test_a_server_keeps_no_metrics_unless_asked_to(registry: Registry):
    answer = registry.send("GET", "/metrics")
    assert answer.status == 404
    assert "'serve --metrics'" in answer.json()["error"]


def test_the_log_is_one_json_object_a_line_without_secrets(watched: Watched):
    address = by_hand.data(watched.ask("{ viewer { id } }"))
    assert address
    watched.send("GET", "/login?token=one-time-secret", signed_in=False)
    watched.send("GET", "/nothing/here%0Aat-all", headers={"Accept": "text/html"})
    text = watched.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [(line["method"], line["path"], line["status"]) for line in lines if line["message"] == "request"]
    assert ("POST", "/graphql", 200) in requests
    assert ("GET", "/login", 403) in requests
    assert {line["client"] for line in lines if line["message"] == "request"} == {"127.0.0.1"}
    assert "secret" not in text
    assert "signature" not in text
    assert watched.key not in text


@pytest.mark.parametrize("seconds", ["-5", "soon", "1e3"])
def test_what_is_no_number_of_seconds_is_refused(tmp_path: Path, seconds: str):
    done = command(tmp_path / "store", "serve", "--drain", seconds)
    assert done.returncode == 2
    assert f"'{seconds}' is no number of seconds" in done.stderr


def test_an_upload_that_is_under_way_ends_before_the_server_does(tmp_path: Path):
    port, body = free_port(), os.urandom(4 * 2**20)
    store = tmp_path / "store"
    with serving(store, "--port", str(port), "--drain", "60") as (process, _):
        account = Account(f"http://127.0.0.1:{port}", "local", (store / "api-key").read_text().strip())
        version = by_hand.announce(account, "drained", "model", {"a.bin": body})
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        wanted = [{"artifactID": version["id"], "name": "a.bin", "md5": md5}]
        [edge] = by_hand.data(account.ask(by_hand.FILES, files=wanted))["createArtifactFiles"]["files"]["edges"]
        parts = urlsplit(edge["node"]["uploadUrl"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.putrequest("PUT", f"{parts.path}?{parts.query}")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[: len(body) // 2])
        assert eventually(lambda: any((store / "incoming").iterdir()))  # it has arrived
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: not _listens(port))
        assert process.poll() is None
        connection.send(body[len(body) // 2 :])
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert answer.getheader("connection") == "close"
        process.wait(timeout=60)
    assert "0 faults" not in command(store, "check").stdout
    assert (store / "blobs" / hashlib.md5(body).hexdigest()[:2] / hashlib.md5(body).hexdigest()[2:]).exists()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except ConnectionRefusedError:
        return False
