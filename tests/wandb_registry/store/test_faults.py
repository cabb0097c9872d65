"""The server is killed under writers that go on: nothing acknowledged is lost, and nothing half done shows."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.wandb_registry.artifacts.test_uploads import Upload
from tests.wandb_registry.by_hand import data, log
from tests.wandb_registry.conftest import Account, Registry, command, in_folder
from wandb_registry import daemon

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


TELLS_WHAT_IS_SYNCED = """
import os
def told(word, call, path_of):
    def telling(*arguments):
        answer = call(*arguments)
        with open(os.environ["TOLD"], "a") as file:
            print(word, path_of(*arguments), file=file)
        return answer
    return telling
os.fsync = told("synced", os.fsync, lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))
os.replace = told("named", os.replace, lambda _source, target: target)
"""


@in_folder
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which folder is synced")
@pytest.mark.parametrize("size", [1, 3_000_000], ids=["small", "large"])
def test_an_upload_is_acknowledged_when_its_bytes_and_then_its_name_are_on_disk(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
):
    """A power cut could have taken a name that only the memory had; also one that another upload had just given."""
    (tmp_path / "sitecustomize.py").write_text(TELLS_WHAT_IS_SYNCED)
    said = tmp_path / "said"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TOLD", str(said))
    server = daemon.ensure(store)
    registry, content = Registry(server.url, server.entity, server.api_key, store), bytes(size)
    first, second = (Upload(registry, {"a": content}) for _ in range(2))
    place = store / "blobs" / hashlib.md5(content).hexdigest()[:2]
    folders = {f"synced {place}", f"synced {place.parent}"}
    told = []
    for upload, [address] in [(first, first.addresses()), (second, second.addresses())]:
        said.write_text("")
        assert upload.put(str(address), content).status == 200
        told.append(said.read_text().splitlines())
    bytes_synced, named, *names_synced = told[0]
    assert bytes_synced.startswith(f"synced {store}/incoming/")
    assert named.startswith(f"named {place}/")
    assert set(names_synced) == folders
    assert set(told[1]) == folders, "nothing new, but who brought it may not have come so far"


def test_eight_writers_to_one_collection_get_exactly_their_versions(store: Path):
    """Elsewhere concurrent writers lost versions, or left `latest` behind."""
    server = daemon.ensure(store)
    registry = Registry(server.url, server.entity, server.api_key, store)
    writers, _ = start_writers(registry, same=True, most=5)
    for writer in writers:
        writer.join(60)
    assert sum(len(writer.done) for writer in writers) == 5 * WRITERS
    prove(registry, writers)


SDK_WRITER = """
import hashlib, json, os, random, sys, uuid, wandb

number, versions = sys.argv[1], int(sys.argv[2])
patience = {f"x_{part}_retry_{key}": value for part in ("graphql", "file_transfer", "file_stream")
            for key, value in {"max": 50, "wait_min_seconds": 0.2, "wait_max_seconds": 2}.items()}
with wandb.init(project="sdk-faults", settings=wandb.Settings(silent=True, **patience)) as run:
    for _ in range(versions):
        if os.path.exists(os.environ.get("ENOUGH", "")):
            break
        artifact = wandb.Artifact("together", "model")
        text = uuid.uuid4().hex * random.choice([1, 1000, 50_000])
        with artifact.new_file("text") as file:
            file.write(text)
        version = run.log_artifact(artifact).wait()
        told = {"version": version.version, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        print(json.dumps(told), flush=True)
"""


def start_sdk_writers(account: Account, folder: Path, versions: int, **more: str) -> list[subprocess.Popen[str]]:
    """Processes that log so many versions each, or until there is a file ENOUGH, and print what each is called."""
    own = {"WANDB_BASE_URL": account.url, "WANDB_API_KEY": account.key, "WANDB_DIR": str(folder), **more}
    env = {name: value for name, value in (os.environ | own).items() if name != "WANDB_SERVICE"}
    command = [sys.executable, "-c", SDK_WRITER]
    return [
        subprocess.Popen([*command, str(number), str(versions)], env=env, stdout=subprocess.PIPE, text=True)
        for number in range(WRITERS)
    ]


def prove_told(registry: Registry, writers: list[subprocess.Popen[str]], folder: Path) -> int:
    """Each version that the SDK was told is there, with its bytes. Answers how many these are."""
    told = [json.loads(line) for writer in writers if writer.stdout for line in writer.stdout]
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    for one in told:
        path = registry.api().artifact(f"sdk-faults/together:{one['version']}").get_entry("text").download(str(folder))
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == one["sha256"]
    checked = command(registry.store, "check")
    assert checked.returncode == 0, checked.stdout
    return len(told)


@pytest.mark.soak
def test_what_the_sdk_was_told_is_there_is_there_whole_after_many_kills(store: Path, tmp_path: Path):
    server = daemon.ensure(store)
    registry = Registry(server.url, server.entity, server.api_key, store)
    writers = start_sdk_writers(registry, tmp_path, versions=12)
    kills = 0
    while any(writer.poll() is None for writer in writers):
        time.sleep(random.uniform(1.0, 3.0))
        os.kill(server.pid, signal.SIGKILL)
        server = daemon.ensure(store)
        kills += 1
    assert kills >= 3
    assert prove_told(registry, writers, tmp_path) == WRITERS * 12
