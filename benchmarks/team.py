"""The registry in its folder beside the same one for a team, with PostgreSQL, a bucket and workers, on one machine.

    python -m venv /tmp/mlflow && /tmp/mlflow/bin/pip install mlflow 'psycopg[binary]' boto3
    python -m benchmarks.team --mlflow /tmp/mlflow/bin/python

It starts PostgreSQL and an S3 server itself, with their usual durability. MLflow gets a database of the same server
and the same bucket; without --mlflow it is left out. All take turns, request by request, so that what else the machine
does is the same for each. A client is a `requests.Session` for each of them; files go by each one's own client.

The floor is what nobody who has the same engines can go below, by the same client at the same moments: for a read an
answer of the team's server that asks nothing (`/healthz`), for a write beside it one row that PostgreSQL commits, for
files the bare requests of boto3 to the bucket, by 16 threads. "CPU" is what the server's processes took for one, not
those of its engines, and for files for both ways together; "MB" is their highest resident memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import requests

from benchmarks.registry import Graph, MLflow, Server, free_port, serving
from tests.engines import team_bucket, team_database
from tests.engines.team_bucket import BUCKET, KEYS

EMBEDDED, TEAM, MLFLOW, FLOOR = "embedded", "team", "MLflow", "floor"
CLIENTS, ASKED, TURNS = 50, 10, 2  # so many at once, each so many times, and all of that again
VERSIONS = 100
WARM = 20  # requests of each kind before the first is timed
MLFLOW_TRANSFER = """
import sys, time, mlflow
path, target = sys.argv[1:]
with mlflow.start_run() as run:
    began = time.perf_counter()
    mlflow.log_artifacts(path)
    up = time.perf_counter()
    mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=target)
    down = time.perf_counter()
print(up - began, down - up)
"""
SDK_TRANSFER = """
import sys, time, wandb
path, target = sys.argv[1:]
with wandb.init(entity="local", project="sdk") as run:
    artifact = wandb.Artifact("files", "data")
    artifact.add_dir(path, policy="immutable", skip_cache=True)
    began = time.perf_counter()
    logged = run.log_artifact(artifact).wait()
    up = time.perf_counter()
    logged.download(target, skip_cache=True)
    down = time.perf_counter()
print(up - began, down - up)
"""
BARE_TRANSFER = """
import sys, time, boto3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from botocore.config import Config
endpoint, bucket, path, target = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(max_pool_connections=16))
files = sorted(Path(path).iterdir())
def put(file):
    s3.upload_file(str(file), bucket, f"bare/{path}/{file.name}")
def get(file):
    s3.download_file(bucket, f"bare/{path}/{file.name}", f"{target}/{file.name}")
with ThreadPoolExecutor(16) as pool:
    began = time.perf_counter()
    list(pool.map(put, files))
    up = time.perf_counter()
    list(pool.map(get, files))
    down = time.perf_counter()
print(up - began, down - up)
"""


@dataclass(frozen=True)
class Contender:
    """A server, which the floor lacks, and what it is asked. `resolver` makes a client that resolves an alias."""

    name: str
    server: Server | None
    register: Callable[[int], object]
    promote: Callable[[int], object]
    versions: Callable[[int], object]
    resolver: Callable[[], Callable[[], object]]
    transfer: tuple[list[str], dict[str, str]]  # a command that a folder and an empty one follow, and its environment


@contextmanager
def ours(name: str, folder: Path, *options: str) -> Iterator[Contender]:
    """This registry, with versions to link."""
    store, port = folder / name, free_port()
    command = [sys.executable, "-m", "wandb_registry", "serve", "--port", str(port), *options]
    with serving(command, port, "/readyz", {"REGISTRY_DIR": str(store)}) as server:
        key = (store / "api-key").read_text().strip()
        graph = Graph(server, key)
        graph.run("run")
        numbers = [graph.version("many", b"v%d" % number, "run", f"a{number}") for number in range(WARM + VERSIONS)]
        places = dict.fromkeys((f"WANDB_{one}DIR" for one in ("", "CACHE_", "DATA_", "ARTIFACT_")), str(folder))
        signed_in = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": key, "WANDB_SILENT": "true"}
        yield Contender(
            name,
            server,
            lambda number: graph.link(numbers[number]),
            lambda number: graph.promote(numbers[number % VERSIONS]),
            graph.versions,
            lambda: Graph(server, key).resolve,
            ([sys.executable, "-c", SDK_TRANSFER], places | signed_in),
        )


@contextmanager
def mlflow(python: str, database: str, endpoint: str) -> Iterator[Contender]:
    port = free_port()
    command = [python, "-m", "mlflow", "server", "--port", str(port), "--backend-store-uri", database]
    command += ["--artifacts-destination", f"s3://{BUCKET}/mlflow"]
    # otherwise it ends its own workers where a busy machine lets them start slowly
    command += ["--uvicorn-opts", "--timeout-worker-healthcheck 120"]
    with serving(command, port, "/health", {"MLFLOW_S3_ENDPOINT_URL": endpoint}) as server:
        first = MLflow(server)
        yield Contender(
            MLFLOW,
            server,
            first.register,
            first.promote,
            first.versions,
            lambda: first.another().resolve,
            ([python, "-c", MLFLOW_TRANSFER], {"MLFLOW_TRACKING_URI": server.url}),
        )


@contextmanager
def floor(team: Contender, database: str, endpoint: str) -> Iterator[Contender]:
    """What the engines and the client take by themselves."""
    assert team.server
    address = f"{team.server.url}/healthz"

    def asker() -> Callable[[], object]:
        session = requests.Session()
        return lambda: session.get(address).raise_for_status()

    ask = asker()
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("create table bare (number int)")

        def write(number: int) -> None:
            ask()
            db.execute("insert into bare values (%s)", [number])

        bare = [sys.executable, "-c", BARE_TRANSFER, endpoint, BUCKET]
        yield Contender(FLOOR, None, write, write, lambda _: ask(), asker, (bare, {}))


class Table:
    """The times of each line and contender, as they are measured."""

    def __init__(self, contenders: list[Contender]) -> None:
        self.contenders = contenders
        self.median: dict[tuple[str, str], float] = {}

    @contextmanager
    def line(self, what: str, unit: str) -> Iterator[dict[str, list[float]]]:
        """Takes the times of each contender, and prints the line of each."""
        found: dict[str, list[float]] = {one.name: [] for one in self.contenders}
        before = {one.name: one.server.cpu_seconds() for one in self.contenders if one.server}
        for one in self.contenders:
            if one.server:
                one.server.forget_peak()
        yield found
        for one in self.contenders:
            times = sorted(found[one.name])
            self.median[one.name, what] = statistics.median(times)
            text = f"{statistics.median(times):10.2f}{times[int(len(times) * 0.95)]:10.2f} {unit:2}"
            if one.server:
                milliseconds = (one.server.cpu_seconds() - before[one.name]) * 1000 / len(times)
                text += f"{milliseconds:10.1f} ms{one.server.peak_mb():7.0f} MB"
            print(f"{one.name:9}{what:32}{text}", flush=True)

    def tell_ratios(self) -> None:
        for what in dict.fromkeys(what for _, what in self.median):
            others = [one.name for one in self.contenders if one.name != TEAM]
            ratios = (f"{self.median[name, what] / self.median[TEAM, what]:6.2f} × {name}" for name in others)
            print(f"{what:32} team takes 1, {', '.join(ratios)}")


def measure_requests(table: Table) -> None:
    for what, act, times in (
        ("register a version", lambda one: one.register, VERSIONS),
        ("move an alias", lambda one: one.promote, 2 * VERSIONS),
        ("resolve an alias", lambda one: _numbered(one.resolver()), 300),
        (f"list {VERSIONS} versions", lambda one: lambda _: one.versions(VERSIONS), 50),
    ):
        acts = {one.name: act(one) for one in table.contenders}
        for number in range(WARM):  # a server's workers may still start
            for do in acts.values():
                do(number)
        with table.line(what, "ms") as found:
            for number in range(WARM, WARM + times):
                for name, do in acts.items():
                    found[name].append(_milliseconds(lambda do=do, number=number: do(number)))


def _numbered(act: Callable[[], object]) -> Callable[[int], object]:
    return lambda _: act()


def _milliseconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def measure_clients(table: Table) -> None:
    """All clients resolve an alias at once, each by connections of its own."""
    with table.line(f"resolve, {CLIENTS} clients at once", "ms") as found, ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(TURNS):
            for one in table.contenders:
                asked = pool.map(lambda _, one=one: _asked(one.resolver()), range(CLIENTS))
                found[one.name] += [milliseconds for client in asked for milliseconds in client]


def _asked(resolve: Callable[[], object]) -> list[float]:
    return [_milliseconds(resolve) for _ in range(ASKED)]


def measure_transfer(table: Table, what: str, rounds: int, fill: Callable[[Path], Path], folder: Path) -> None:
    """A folder of new files goes up and comes down again, by each contender's own client."""
    with table.line(f"{what} down", "s") as down, table.line(f"{what} up", "s") as up:
        for number in range(rounds):
            for one in table.contenders:
                files = fill(folder / f"files-{number}-{one.name}")
                target = folder / f"target-{number}-{one.name}"
                target.mkdir()
                command, env = one.transfer
                given = {"env": os.environ | env, "capture_output": True, "text": True}
                done = subprocess.run([*command, str(files), str(target)], check=False, **given)
                if done.returncode:
                    sys.exit(done.stderr)
                for way, seconds in zip((up, down), done.stdout.split()[-2:], strict=True):
                    way[one.name].append(float(seconds))
                shutil.rmtree(files)
                shutil.rmtree(target)


def filled(folder: Path, count: int, size: int) -> Path:
    """A new folder with files of random bytes."""
    folder.mkdir()
    for number in range(count):
        with (folder / str(number)).open("wb") as file:
            for start in range(0, size, 2**20):
                file.write(os.urandom(min(2**20, size - start)))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter that has mlflow, psycopg and boto3")
    parser.add_argument("--workers", default="2", help="processes of the team's server (default 2)")
    parser.add_argument("--files", type=int, default=10_000, help="small files (default 10,000)")
    parser.add_argument("--gigabytes", type=float, default=1, help="size of the large file (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="how often files go up and down (default 3)")
    options = parser.parse_args()
    os.environ.update(KEYS)
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        database = started.enter_context(team_database.running())
        bucket = started.enter_context(team_bucket.running(folder / "s3"))
        place = ("--bucket", f"s3://{BUCKET}/registry", "--bucket-endpoint", bucket.url)
        url = team_database.new_schema(database.url)
        contenders = [
            started.enter_context(ours(EMBEDDED, folder)),
            started.enter_context(ours(TEAM, folder, "--database", url, *place, "--workers", options.workers)),
        ]
        if options.mlflow:
            with psycopg.connect(database.url, autocommit=True) as db:
                db.execute("create database mlflow")
            url = database.url.replace("/postgres", "/mlflow")
            contenders.append(started.enter_context(mlflow(options.mlflow, url, bucket.url)))
        contenders.append(started.enter_context(floor(contenders[1], database.url, bucket.url)))
        table = Table(contenders)
        measure_requests(table)
        measure_clients(table)
        many, large = (options.files, 100), (1, int(options.gigabytes * 1e9))
        measure_transfer(table, f"{options.files:,} files", options.rounds, lambda to: filled(to, *many), folder)
        measure_transfer(table, f"{options.gigabytes:g} GB", options.rounds, lambda to: filled(to, *large), folder)
        table.tell_ratios()


if __name__ == "__main__":
    main()
