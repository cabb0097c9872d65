"""The registry in its folder beside the same one for a team, with PostgreSQL, a bucket and workers, on one machine.

    python -m venv /tmp/mlflow && /tmp/mlflow/bin/pip install mlflow 'psycopg[binary]' boto3
    python -m benchmarks.team --mlflow /tmp/mlflow/bin/python

It starts PostgreSQL and an S3 server itself. MLflow gets a database of the same server and the same bucket; without
--mlflow it is left out. At each line all contenders do the same, one after the other. Times are p50 and p95 in
milliseconds unless the line says otherwise; "CPU" is what the server's processes took, not those of its engines.
"""

from __future__ import annotations

import argparse
import os
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

from benchmarks.registry import Graph, MLflow, Report, Server, free_port, serving
from tests.engines import team_bucket, team_database
from tests.engines.team_bucket import BUCKET, KEYS

EMBEDDED, TEAM, MLFLOW = "embedded", "team", "MLflow"
CLIENTS, ASKED = 50, 20  # so many at once, each so many times
VERSIONS = 100
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


@dataclass(frozen=True)
class Contender:
    """A server, and what it is asked. `resolver` makes one more client that resolves an alias."""

    name: str
    server: Server
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
        numbers = [graph.version("many", b"v%d" % number, "run", f"a{number}") for number in range(VERSIONS)]
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


def measure_requests(report: Report, contenders: list[Contender]) -> None:
    for what, act, times in (
        ("register a version", lambda one: one.register, VERSIONS),
        ("move an alias", lambda one: one.promote, 2 * VERSIONS),
        ("resolve an alias", lambda one: _numbered(one.resolver()), 300),
        (f"list {VERSIONS} versions", lambda one: lambda _: one.versions(VERSIONS), 50),
    ):
        for one in contenders:
            report.times(one.name, what, one.server, act(one), times)


def _numbered(act: Callable[[], object]) -> Callable[[int], object]:
    return lambda _: act()


def measure_clients(report: Report, contenders: list[Contender]) -> None:
    """All clients resolve an alias at once, each by connections of its own."""
    what = f"resolve, {CLIENTS} clients at once"
    for one in contenders:

        def ask(_: int, one: Contender = one) -> list[float]:
            resolve, found = one.resolver(), []
            for _ in range(ASKED):
                began = time.perf_counter()
                resolve()
                found.append((time.perf_counter() - began) * 1000)
            return found

        with ThreadPoolExecutor(CLIENTS) as pool:
            found = sorted(seconds for client in pool.map(ask, range(CLIENTS)) for seconds in client)
        report.median[one.name, what] = statistics.median(found)
        text = f"{statistics.median(found):.1f} {found[int(len(found) * 0.95)]:10.1f} ms"
        report.line(one.name, what, text, one.server)


def measure_transfer(report: Report, contenders: list[Contender], what: str, files: Path, folder: Path) -> None:
    """A folder goes up and comes down again, by each contender's own client."""
    for one in contenders:
        command, env = one.transfer
        target, before = folder / f"{files.name}-{one.name}", one.server.cpu_seconds()
        target.mkdir()
        given = {"env": os.environ | env, "capture_output": True, "text": True}
        done = subprocess.run([*command, str(files), str(target)], check=False, **given)
        if done.returncode:
            sys.exit(done.stderr)
        up, down = map(float, done.stdout.split()[-2:])
        for way, seconds in (("up", up), ("down", down)):
            report.median[one.name, f"{what} {way}"] = seconds
            report.line(one.name, f"{what} {way}", f"{seconds:.2f} s", one.server)
        report.line(one.name, f"{what}, CPU of the server", f"{one.server.cpu_seconds() - before:.2f} s", one.server)


def filled(folder: Path, count: int, size: int) -> Path:
    """A new folder with files of random bytes."""
    folder.mkdir()
    for number in range(count):
        with (folder / str(number)).open("wb") as file:
            for start in range(0, size, 2**20):
                file.write(os.urandom(min(2**20, size - start)))
    return folder


def tell_ratios(report: Report, contenders: list[Contender]) -> None:
    for what in dict.fromkeys(what for _, what in report.median):
        of_team = report.median[TEAM, what]
        ratios = (
            f"{report.median[one.name, what] / of_team:6.2f} × {one.name}" for one in contenders if one.name != TEAM
        )
        print(f"{what:44} team takes 1, {', '.join(ratios)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter that has mlflow, psycopg and boto3")
    parser.add_argument("--workers", default="2", help="processes of the team's server (default 2)")
    parser.add_argument("--files", type=int, default=10_000, help="small files (default 10,000)")
    parser.add_argument("--gigabytes", type=float, default=1, help="size of the large file (default 1)")
    options = parser.parse_args()
    report = Report()
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
        measure_requests(report, contenders)
        measure_clients(report, contenders)
        many = filled(folder / "many", options.files, 100)
        measure_transfer(report, contenders, f"{options.files:,} files", many, folder)
        large = filled(folder / "large", 1, int(options.gigabytes * 1e9))
        measure_transfer(report, contenders, f"{options.gigabytes:g} GB", large, folder)
        tell_ratios(report, contenders)


if __name__ == "__main__":
    main()
