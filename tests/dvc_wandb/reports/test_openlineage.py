"""`dvc-wandb openlineage`: executions as events, held against OpenLineage's own schemas (tests/openlineage)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from tests.conftest import Clone
from tests.working_tree import ROOT

pytestmark = pytest.mark.slow

SCHEMAS = [json.loads(path.read_text()) for path in sorted((ROOT / "tests/openlineage").glob("*.json"))]
REGISTRY: Registry[Any] = Registry().with_resources([(one["$id"], Resource.from_contents(one)) for one in SCHEMAS])


class Collector(ThreadingHTTPServer):
    """A server that collects events, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.status = 201
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/v1/lineage" and self.server.status == 201:
            self.server.events.append(json.loads(body))
            self.server.keys.append(self.headers["Authorization"])
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def check(event: dict[str, Any]) -> None:
    """Raise for an event, or a facet in it, that OpenLineage's schema for it doesn't allow."""
    places = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
    for one in (event, *(facet for place in places for facet in place.get("facets", {}).values())):
        schema = {"$ref": one.get("schemaURL") or one["_schemaURL"]}
        jsonschema.Draft202012Validator(schema, registry=REGISTRY).validate(one)


def test_each_execution_is_sent_once_as_openlineages_schema_has_it(history: Clone, collector: Collector):
    send = ("dvc-wandb", "openlineage", "--to", collector.url)
    history.git("remote", "add", "origin", "https://me:secret@example.com/history.git")
    try:
        assert f"{collector.url}: 3 executions sent as dvc://history" in history.run(*send).text
        assert "0 executions sent as dvc://history; 3 were sent before" in history.run(*send).text
        sent = list(collector.events)
        history.run(*send, "--again", env={"OPENLINEAGE_API_KEY": "open"})
    finally:
        history.git("remote", "remove", "origin")
    for event in sent:
        check(event)
    told = [(event["eventType"], event["job"]["name"]) for event in sent]
    assert told == [(state, stage) for stage in ("clean", "fit", "judge") for state in ("START", "COMPLETE")]
    assert len({event["run"]["runId"] for event in sent}) == 3
    assert collector.events[len(sent) :] == sent  # to the same run ids, at the same times
    assert collector.keys == [None] * len(sent) + ["Bearer open"] * len(sent)
    fit = sent[2]
    assert fit["job"]["facets"]["sourceCode"]["sourceCode"] == "python fit.py"
    assert fit["job"]["facets"]["sourceCode"]["_producer"] == fit["producer"] == "urn:dvc-wandb"
    place = fit["job"]["facets"]["sourceCodeLocation"]
    assert place["url"] == "https://example.com/history.git"
    assert place["version"] == history.git("rev-parse", "HEAD").strip()
    (rate,) = fit["run"]["facets"]["executionParameters"]["parameters"]
    assert (rate["key"], rate["name"], json.loads(rate["value"])) == ("params.yaml:rate", "rate", 2.0)


def test_what_one_stage_makes_is_what_the_next_reads(history: Clone, collector: Collector):
    history.run("dvc-wandb", "openlineage", "--to", collector.url)
    clean, fit = collector.events[1], collector.events[3]
    (made,) = clean["outputs"]
    read = {one["name"]: one for one in fit["inputs"]}
    assert read.keys() == {"clean.csv", "fit.py"}
    assert all(made[key] == read["clean.csv"][key] for key in ("namespace", "name", "facets"))
    assert len(made["facets"]["version"]["datasetVersion"]) == 32


def test_what_a_server_refuses_is_told_and_sent_later(history: Clone, collector: Collector):
    send = ("dvc-wandb", "openlineage", "--to", collector.url)
    collector.status = 400
    said = history.run(*send, ok=False).text
    assert f"{collector.url} didn't take the events of clean: 400 Client Error" in said
    assert "Of 3 executions 0 were sent; run it again to send the rest." in said
    collector.status = 201
    history.run(*send)
    assert len(collector.events) == 6


def test_a_server_that_is_away_is_told_without_what_the_library_says_of_it(history: Clone):
    told = history.run("dvc-wandb", "openlineage", "--to", "http://127.0.0.1:9", "--again", ok=False).text
    assert "http://127.0.0.1:9 didn't take the events of clean: [Errno 111] Connection refused. Of 3" in told


def test_what_is_no_address_is_told(history: Clone):
    assert (
        "'localhost' is no URL of a server"
        in history.run("dvc-wandb", "openlineage", "--to", "localhost", ok=False).text
    )
