"""The server is killed under writers that go on: nothing acknowledged is lost, and nothing half done shows."""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registry import daemon

from .by_hand import data, log
from .conftest import Account, Registry, command

WRITERS = 8
COLLECTION = """
query All($name: String!) { project(name: "faults", entityName: "local") { artifactCollection(name: $name) {
  artifacts { edges { version node { id state } } }
  artifactMembership(aliasName: "latest") { versionIndex } } } }
"""
FILES = """
query Files($name: String!, $version: String!) { project(name: "faults", entityName: "local") {
  artifactCollection(name: $name) { artifactMembership(aliasName: $version) { artifact { id }
    files { edges { node { name directUrl } } } } } } }
"""


@dataclass
class Writer(threading.Thread):
    """Logs one version after the other to a collection, each until it is acknowledged."""

    account: Account
    collection: str
    stop: threading.Event
    most: int
    done: dict[str, dict[str, bytes]] = field(default_factory=dict)
    retries: int = 0

    def __post_init__(self):
        super().__init__(daemon=True)

    def __hash__(self):
        return id(self)

    def run(self):
        while not self.stop.is_set() and len(self.done) < self.most:
            files = {f"{i}.bin": uuid.uuid4().bytes * random.choice([1, 100, 80_000]) for i in range(3)}
            client = uuid.uuid4().hex
            while True:
                try:
                    artifact = log(self.account, "faults", self.collection, files, client=client)
                    break
                except (OSError, http.client.HTTPException):  # the server is away: say it all again
                    self.retries += 1
                    time.sleep(0.05)
            self.done[artifact] = files


def start_writers(registry: Registry, same: bool, most: int = 10_000) -> tuple[list[Writer], threading.Event]:
    stop = threading.Event()
    names = ["shared" if same else f"own-{i % 4}" for i in range(WRITERS)]
    writers = [Writer(registry, name, stop, most) for name in names]
    for writer in writers:
        writer.start()
    return writers, stop


def prove(registry: Registry, writers: list[Writer]) -> None:
    """Each acknowledged version is there with its files, byte for byte, and nothing else is."""
    for name in {writer.collection for writer in writers}:
        expected = {
            made: files for writer in writers if writer.collection == name for made, files in writer.done.items()
        }
        found = data(registry.ask(COLLECTION, name=name))["project"]["artifactCollection"]
        versions = {edge["node"]["id"]: edge["version"] for edge in found["artifacts"]["edges"]}
        numbers = sorted(int(version[1:]) for version in versions.values())
        assert set(versions) == set(expected)
        assert numbers == list(range(len(numbers)))
        assert found["artifactMembership"]["versionIndex"] == numbers[-1]
        for artifact, files in expected.items():
            answer = data(registry.ask(FILES, name=name, version=versions[artifact]))
            place = answer["project"]["artifactCollection"]["artifactMembership"]
            assert place["artifact"]["id"] == artifact
            assert {
                edge["node"]["name"]: registry.send("GET", edge["node"]["directUrl"], signed_in=False).body
                for edge in place["files"]["edges"]
            } == files
    checked = command(registry.store, "check")
    assert checked.returncode == 0, checked.stdout


def kill_again_and_again(store: Path, times: int) -> None:
    server = daemon.ensure(store)
    registry = Registry(server.url, server.entity, server.api_key, store)
    writers, stop = start_writers(registry, same=False)
    for _ in range(times):
        time.sleep(random.uniform(0.2, 1.0))
        os.kill(server.pid, signal.SIGKILL)
        server = daemon.ensure(store)
        assert server.url == registry.url
    stop.set()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()
    assert sum(writer.retries for writer in writers)
    prove(registry, writers)


def test_killing_the_server_under_eight_writers_loses_nothing(store: Path):
    kill_again_and_again(store, times=3)


@pytest.mark.soak
def test_killing_the_server_many_times_loses_nothing(store: Path):
    kill_again_and_again(store, times=60)


def test_eight_writers_to_one_collection_get_exactly_their_versions(store: Path):
    """Elsewhere concurrent writers lost versions, or left `latest` behind."""
    server = daemon.ensure(store)
    registry = Registry(server.url, server.entity, server.api_key, store)
    writers, _ = start_writers(registry, same=True, most=5)
    for writer in writers:
        writer.join(60)
    assert sum(len(writer.done) for writer in writers) == 5 * WRITERS
    prove(registry, writers)


def test_a_store_is_served_once(store: Path):
    daemon.ensure(store)
    second = command(store, "serve")
    assert second.returncode == 1
    assert second.stderr.startswith(f"registry: {store} is already served at http://127.0.0.1:")
