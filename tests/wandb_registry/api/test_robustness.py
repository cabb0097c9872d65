"""Clients that ask too much, stop in the middle, or send nonsense: they get a sentence, and others don't notice."""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Message

from tests.wandb_registry.by_hand import log
from tests.wandb_registry.conftest import Registry, directly_reached
from tests.working_tree import ROOT
from wandb_registry import daemon
from wandb_registry.http.middleware import RequestTracker, SecurityMiddleware
from wandb_registry.http.own_address import OwnAddress
from wandb_registry.store_folder import log_path

HALF = "POST /graphql HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {key}\r\nContent-Length: 1000\r\n\r\n{{"


def test_a_question_that_nests_too_deeply_is_refused(registry: Registry):
    inside = "orgEntity { organization { " * 10 + "id" + "} }" * 10
    refused = registry.ask("{ viewer { organizations { " + inside + " } } }")
    assert refused.status == 400
    assert "nests more than 16 levels deep" in refused.text


def test_fragments_do_not_hide_the_depth(registry: Registry):
    fragments = "".join(
        f"fragment F{n} on Organization {{ orgEntity {{ organization {{ ...F{n + 1} ...F{n + 1} }} }} }} "
        for n in range(30)
    )
    query = "{ viewer { organizations { ...F0 } } } " + fragments + "fragment F30 on Organization { id }"
    assert "nests more than 16 levels deep" in registry.ask(query).text


def test_too_many_questions_at_once_are_refused(registry: Registry):
    refused = registry.ask("{ " + " ".join(f"a{n}: viewer {{ id }}" for n in range(51)) + " }")
    assert "asks more than 50 things at once" in refused.text


def test_fragments_do_not_hide_how_much_is_asked(registry: Registry):
    """Six fragments, each spread ten times in the one before, once kept a thread and its memory for good."""
    fragments = "".join(
        f"fragment F{n} on Organization {{ "
        + " ".join(f"a{k}: orgEntity {{ organization {{ ...F{n + 1} }} }}" for k in range(10))
        + " } "
        for n in range(6)
    )
    many = "{ viewer { organizations { ...F0 } } } " + fragments + "fragment F6 on Organization { id }"
    assert "asks for more than 5000 fields" in registry.ask(many).text
    wide = "{ ... { " + " ".join(f"a{n}: viewer {{ id }}" for n in range(51)) + " } }"
    assert "asks more than 50 things at once" in registry.ask(wide).text


def test_the_schema_is_told_within_limits(registry: Registry):
    asked = registry.ask("{ ...S } fragment S on Query { __schema { queryType { name } } }")
    assert asked.json()["data"] == {"__schema": {"queryType": {"name": "Query"}}}
    wide = "{ __schema { " + " ".join(f"a{n}: types {{ fields {{ name }} }}" for n in range(200)) + " } }"
    assert "asks for more than 500 fields" in registry.ask(wide).text


@pytest.mark.soak
def test_lists_within_lists_end(registry: Registry):
    """Ten lines of GraphQL once asked for a list of all versions for each version of each version, and got it."""
    for n in range(80):
        version = log(registry, "lists", "m", {"a": str(n).encode()})
    inside = "id"
    for _ in range(3):
        inside = "artifactSequence { artifacts { edges { node { " + inside + " } } } }"
    refused = registry.ask(
        '{ project(name: "lists", entityName: "local") { artifact(name: "m:v0") { ' + inside + " } } }"
    )
    assert "more than 500000 objects" in refused.text
    change = "mutation($id: ID!) { updateArtifact(input: {artifactID: $id}) { artifact { " + inside + " } } }"
    assert "more than 100000 objects" in registry.ask(change, id=version).text, "others wait to write meanwhile"


@pytest.mark.soak
def test_who_asks_for_much_at_once_does_not_hold_up_others(store: Path):
    """Sixty long questions of one account took all threads of the server: nobody else got an answer for a minute."""
    server = daemon.ensure(store)
    registry = Registry(server.url, server.entity, server.api_key, store)
    other = registry.user("other")
    for n in range(40):
        log(registry, "lists", "m", {"a": str(n).encode()})
    inside = "id"
    for _ in range(3):
        inside = "artifactSequence { artifacts { edges { node { " + inside + " } } } }"
    question = '{ project(name: "lists", entityName: "local") { artifact(name: "m:v0") { ' + inside + " } } }"
    with ThreadPoolExecutor(60) as many:
        asking = [many.submit(registry.ask, question) for _ in range(60)]
        wait(asking, return_when=FIRST_COMPLETED)
        started = time.monotonic()
        answered = other.ask("{ viewer { username } }").status
        took = time.monotonic() - started
        os.kill(server.pid, signal.SIGKILL)
    assert (answered, took < 15) == (200, True)


def test_clients_that_stop_in_the_middle_do_not_hold_up_others(registry: Registry):
    address = urlsplit(registry.url)
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(socket.create_connection((address.hostname, address.port)))
            client.sendall(HALF.format(host=address.netloc, key="YXBpOng=").encode())
        started = time.monotonic()
        assert registry.ask("{ viewer { username } }").status == 200
        assert time.monotonic() - started < 10


def test_connections_that_ask_nothing_do_not_keep_others_out(store: Path):
    """1,024 of them once took all files that the server may open: it answered nobody, and filled its log instead."""
    serve = f"ulimit -n 1024; exec {sys.executable} -m wandb_registry serve"
    with (
        subprocess.Popen(
            ["sh", "-c", serve],
            cwd=ROOT,
            env=os.environ | {"REGISTRY_DIR": str(store)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        ExitStack() as stack,
    ):
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        server = daemon.find(store)
        assert server
        address = urlsplit(server.url)
        for n in range(1100):
            client = stack.enter_context(socket.create_connection((address.hostname, address.port)))
            client.sendall(b"POST /graphql HTTP/1.1\r\n" if n % 2 else b"")
        asked = Registry(server.url, server.entity, server.api_key, store).ask("{ viewer { username } }")
        daemon.stop(store)
        assert (asked.status, process.stderr.read()) == (200, b"")


@directly_reached
def test_a_head_without_end_is_cut_off(registry: Registry):
    address = urlsplit(registry.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            client.sendall((b"X-More: " + b"x" * 10_000 + b"\r\n") * 2000)


@pytest.mark.parametrize(
    ("piece", "pause", "outcome"), [(b"", 60.0, "given up"), (b"x", 0.06, "given up"), (bytes(2**16), 0.06, "whole")]
)
def test_a_body_that_stops_or_trickles_is_given_up_and_a_slow_one_is_not(piece: bytes, pause: float, outcome: str):
    """Else one stalled client would keep an idle server from leaving; one that sent a byte a minute did."""
    tracker = RequestTracker()
    seen = []
    pieces = itertools.count(1)

    async def app(scope, receive, send):
        try:
            await Request(scope, receive).body()
            seen.append("whole")
        except ClientDisconnect:
            seen.append("given up")
        await PlainTextResponse("")(scope, receive, send)

    async def coming() -> Message:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": piece, "more_body": next(pieces) < 10}

    async def ignore(_message):
        pass

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")], "query_string": b""}
    asyncio.run(SecurityMiddleware(app, tracker, OwnAddress(loopback=True), timeout=0.25)(scope, coming, ignore))
    assert (seen, tracker.in_flight) == ([outcome], 0)


def test_a_client_that_reads_no_further_is_given_up():
    tracker = RequestTracker()
    closed = []

    async def pieces():
        try:
            while True:
                yield b"x" * 2**16
        finally:
            closed.append(True)

    async def app(scope, receive, send):
        await StreamingResponse(pieces())(scope, receive, send)

    async def waiting() -> Message:
        await asyncio.sleep(60)
        return {}

    async def unread(_message):
        await asyncio.sleep(60)

    async def request() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
        limited = SecurityMiddleware(app, tracker, OwnAddress(loopback=True), timeout=0.05)
        with pytest.raises(ClientDisconnect):
            await limited(scope | {"query_string": b"", "asgi": {"spec_version": "2.4"}}, waiting, unread)

    asyncio.run(asyncio.wait_for(request(), 10))
    assert tracker.in_flight == 0


@pytest.mark.parametrize("path", ["/graphql", "/files/local/p/r/file_stream", "/storage/runs/1/x", "/nowhere"])
@given(body=st.binary(max_size=200))
def test_no_body_makes_the_server_fail(registry: Registry, path: str, body: bytes):
    method = "PUT" if path.startswith("/storage") else "POST"
    assert 400 <= registry.send(method, path, body).status < 500


def test_a_body_that_only_claims_to_be_packed_is_refused(registry: Registry):
    refused = registry.send("POST", "/graphql", b"{}", headers={"Content-Encoding": "gzip"})
    assert (refused.status, "not gzip" in refused.text) == (400, True)


def test_a_form_that_is_too_large_is_told_how_large_it_may_be(registry: Registry):
    """It had 'more than 0 MiB'."""
    refused = registry.send("POST", "/login", b"key=" + b"k" * 100_000, signed_in=False)
    assert (refused.status, "has more than 64 KiB" in refused.text) == (413, True)


def test_a_small_body_that_unpacks_to_a_huge_one_is_refused(registry: Registry):
    bomb = gzip.compress(b" " * (80 * 2**20))
    assert registry.send("POST", "/graphql", bomb, headers={"Content-Encoding": "gzip"}).status == 413


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ("filters: $v", '{"state": "\\ud800"}'),
        ("filters: $v", '{"state": %s}' % ("9" * 400)),
        ("order: $v", "half \ud800"),
        ("after: $v", base64.b64encode(b"at:%d" % 10**30).decode()),
    ],
)
def test_what_the_database_cannot_hold_is_refused_with_a_sentence(registry: Registry, asked: str, value: str):
    log(registry, "odd", "m", {"a": b"1"})
    kind = "JSONString" if "filters" in asked else "String"
    runs = f'project(name: "odd", entityName: "local") {{ runs(first: 1, {asked}) {{ totalCount }} }}'
    assert registry.ask(f"query($v: {kind}) {{ {runs} }}", v=value).status == 400


def test_a_key_that_no_database_can_hold_is_no_fault_of_the_server(registry: Registry):
    """PostgreSQL refuses it; elsewhere no run has it."""
    log(registry, "odd", "m", {"a": b"1"})
    runs = 'project(name: "odd", entityName: "local") { runs(first: 1, filters: $v) { totalCount } }'
    assert registry.ask(f"query($v: JSONString) {{ {runs} }}", v='{"config.\\u0000": 1}').status in (200, 400)


NAME = "a" * 40 + "!"


@pytest.mark.parametrize("listed", ["runs", "artifactCollections"])
@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "a?" * 30 + "a" * 30 + "b", "(a?){40}b"])
def test_a_pattern_with_endless_ways_to_match_is_answered_at_once(registry: Registry, listed: str, pattern: str):
    """One name of forty letters and one such filter kept the server from answering anybody, for good."""
    log(registry, "patterns", NAME, {"a": b"1"})
    start = 'mutation($n: String) { upsertBucket(input: {modelName: "patterns", name: $n}) { inserted } }'
    assert registry.ask(start, n=NAME).status == 200
    question = f'project(name: "patterns", entityName: "local") {{ {listed}(first: 1, filters: $v) {{ totalCount }} }}'

    def found(pattern: str) -> str:
        wanted = json.dumps({"name": {"$regex": pattern}})
        return registry.ask(f"query($v: JSONString) {{ {question} }}", v=wanted).text

    began = time.monotonic()
    assert '"totalCount":' in found(pattern)
    assert time.monotonic() - began < 5
    assert '"totalCount":1' in found("^a+.*(x|!)$")


@pytest.mark.parametrize(("header", "value", "status"), [("Host", "[", 400), ("Origin", "http://[", 403)])
def test_an_address_that_is_none_is_refused(registry: Registry, header: str, value: str, status: int):
    assert registry.send("GET", "/healthz", headers={header: value}).status == status


def test_keys_stay_out_of_the_log(registry: Registry):
    registry.send("POST", "/graphql", b"not json")
    registry.send("GET", "/storage/files/00/x?expires=1&signature=secret")
    registry.ask("{ viewer { id } ")
    for file in registry.store.glob("*.log*"):
        text = file.read_text()
        assert registry.key not in text
        assert "signature=" not in text


def test_refusals_do_not_fill_the_disk(store: Path):
    """Each refused page wrote a line as long as its address, and strangers may ask without end for what isn't there."""
    server = daemon.ensure(store)
    stranger = Registry(server.url, server.entity, "", store)
    for _ in range(3):
        with log_path(store).open("a") as file:
            file.write("what many refusals write\n" * 50_000)
        page = stranger.send("GET", "/nowhere" * 200, signed_in=False, headers={"Accept": "text/html"})
        assert page.status == 404
    assert sum(path.stat().st_size for path in store.glob("server.log*")) < 2_000_000
    assert re.fullmatch(r"\S+ \S+ GET /nowhere.{,700}\n", log_path(store).read_text())
