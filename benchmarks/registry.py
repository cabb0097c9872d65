"""How fast the embedded registry is, through the SDK and over plain HTTP, beside MLflow's server in the same run.

    python -m venv /tmp/mlflow && /tmp/mlflow/bin/pip install mlflow
    python -m benchmarks.registry --mlflow /tmp/mlflow/bin/python

Without --mlflow only this registry is measured. Times are p50 and p95 in milliseconds unless the line says otherwise;
"peak MB" is the highest resident memory of the server's processes during that operation.
"""

from __future__ import annotations

import argparse
import base64
import copy
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = {"version": 1, "storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"}}
PROJECT = {"entityName": "local", "projectName": "bench"}


@dataclass(frozen=True)
class Server:
    """A running server: its address, its process, and the seconds from its start to its first answer."""

    url: str
    pid: int
    seconds: float

    def processes(self) -> list[psutil.Process]:
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def forget_peak(self) -> None:
        for process in self.processes():
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def peak_mb(self) -> float:
        total = 0
        for process in self.processes():
            status = Path(f"/proc/{process.pid}/status").read_text()
            total += int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
        return total / 1024


@contextmanager
def serving(command: list[str], port: int, ready: str, env: dict[str, str]) -> Iterator[Server]:
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                if requests.get(url + ready, timeout=5).ok:
                    break
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.01)
            if process.poll() is not None or time.perf_counter() - started > 120:
                sys.exit(f"{' '.join(command)} did not start")
        yield Server(url, process.pid, time.perf_counter() - started)
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(120)
        for child in children:
            if child.is_running():
                child.kill()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Report:
    """Lines of the table, printed as they are measured."""

    def __init__(self) -> None:
        self.median: dict[tuple[str, str], float] = {}

    def times(self, who: str, what: str, server: Server, act: Callable[[int], object], n: int) -> None:
        server.forget_peak()
        found = []
        for number in range(n):
            started = time.perf_counter()
            act(number)
            found.append((time.perf_counter() - started) * 1000)
        found.sort()
        p50, p95 = statistics.median(found), found[min(n - 1, int(n * 0.95))]
        self.median[who, what] = p50
        print(f"{who:9}{what:44}{p50:10.2f}{p95:10.2f} ms{server.peak_mb():9.0f} MB", flush=True)

    def line(self, who: str, what: str, text: str, server: Server) -> None:
        print(f"{who:9}{what:44}{text:>23}{server.peak_mb():9.0f} MB", flush=True)


class Graph:
    """This registry over plain HTTP: the operations that the SDK sends, with the fields that are compared."""

    def __init__(self, server: Server, key: str) -> None:
        self.url = server.url
        self.session = requests.Session()
        self.session.auth = ("api", key)

    def ask(self, query: str, **variables: Any) -> Any:
        answer = self.session.post(f"{self.url}/graphql", json={"query": query, "variables": variables})
        body = answer.json()
        if body.get("errors"):
            sys.exit(f"{query}: {body['errors']}")
        return body["data"]

    def run(self, name: str) -> None:
        self.ask(
            'mutation B($n: String!) { upsertBucket(input: {name: $n, entityName: "local", modelName: "bench"})'
            " { bucket { id } } }",
            n=name,
        )

    def version(self, collection: str, content: bytes, run: str, alias: str) -> str:
        """Log one version with one file, as the SDK does in seven requests; returns its id."""
        md5 = hashlib.md5(content)
        entry = {"digest": base64.b64encode(md5.digest()).decode(), "size": len(content)}
        digest = hashlib.md5(f"wandb-artifact-manifest-v1\nfile:{entry['digest']}\n".encode()).hexdigest()
        made = self.ask(
            "mutation A($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { id } } }",
            i={
                **PROJECT,
                "runName": run,
                "artifactTypeName": "model",
                "artifactCollectionName": collection,
                "digest": digest,
                "enableDigestDeduplication": True,
                "aliases": [{"artifactCollectionName": collection, "alias": name} for name in ("latest", alias)],
            },
        )
        number = made["createArtifact"]["artifact"]["id"]
        file = self.ask(
            "mutation F($i: CreateArtifactFilesInput!) { createArtifactFiles(input: $i) { files { edges { node"
            " { uploadUrl uploadHeaders } } } } }",
            i={
                "artifactFiles": [{"artifactID": number, "name": "file", "md5": entry["digest"]}],
                "storageLayout": "V2",
            },
        )["createArtifactFiles"]["files"]["edges"][0]["node"]
        if file["uploadUrl"]:
            headers = dict(header.split(":", 1) for header in file["uploadHeaders"])
            requests.put(file["uploadUrl"], data=content, headers=headers).raise_for_status()
        body = json.dumps({**MANIFEST, "contents": {"file": {**entry, "birthArtifactID": number}}}).encode()
        manifest = self.ask(
            "mutation M($i: CreateArtifactManifestInput!) { createArtifactManifest(input: $i) { artifactManifest"
            " { file { uploadUrl } } } }",
            i={
                **PROJECT,
                "artifactID": number,
                "name": "wandb_manifest.json",
                "runName": run,
                "type": "FULL",
                "digest": base64.b64encode(hashlib.md5(body).digest()).decode(),
            },
        )["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]
        requests.put(manifest, data=body).raise_for_status()
        self.ask("mutation C($i: ID!) { commitArtifact(input: {artifactID: $i}) { artifact { id } } }", i=number)
        return number

    def link(self, number: str) -> None:
        self.ask(
            "mutation L($i: LinkArtifactInput!) { linkArtifact(input: $i) { versionIndex } }",
            i={
                "artifactID": number,
                "artifactPortfolioName": "model",
                "entityName": "local",
                "projectName": "model-registry",
            },
        )

    def promote(self, number: str) -> None:
        alias = {"entityName": "local", "projectName": "model-registry", "artifactCollectionName": "model"}
        self.ask(
            "mutation P($i: AddAliasesInput!) { addAliases(input: $i) { success } }",
            i={"artifactID": number, "aliases": [{**alias, "alias": "production"}]},
        )

    def resolve(self) -> None:
        self.ask(
            '{ project(name: "model-registry", entityName: "local") { artifactCollectionMembership(name: '
            '"model:production") { versionIndex artifact { id digest } } } }'
        )

    def versions(self, first: int) -> None:
        self.ask(
            'query V($n: Int) { project(name: "bench", entityName: "local") { artifactType(name: "model") {'
            ' artifactCollection(name: "many") { artifacts(first: $n) { edges { version node { id digest createdAt'
            " aliases { alias } } } } } } } }",
            n=first,
        )

    def lineage(self, number: str) -> None:
        self.ask("query H($i: ID!) { artifact(id: $i) { createdBy { ... on Run { id name } } } }", i=number)


def measure_http(report: Report, server: Server, key: str, many: int) -> None:
    graph = Graph(server, key)
    runs = [f"run-{number}" for number in range(many)]
    for name in runs:
        graph.run(name)
    numbers = [graph.version("many", b"v%d" % number, runs[number], f"a{number}") for number in range(many)]
    report.times("ours", "register a version (link)", server, lambda n: graph.link(numbers[n]), 100)
    report.times("ours", "move an alias", server, lambda n: graph.promote(numbers[n % 100]), 200)
    report.times("ours", "resolve an alias", server, lambda n: graph.resolve(), 300)
    report.times("ours", "list 100 versions", server, lambda n: graph.versions(100), 50)
    report.times("ours", f"list {many:,} versions", server, lambda n: graph.versions(many), 10)
    report.times("ours", f"lineage hop at {many:,} runs", server, lambda n: graph.lineage(numbers[n % many]), 300)


def measure_sdk(report: Report, server: Server, folder: Path, gigabytes: float, rows: int) -> None:
    import wandb

    run = wandb.init(entity="local", project="sdk", settings=wandb.Settings(silent=True))

    def log(name: str, *paths: Path) -> wandb.Artifact:
        artifact = wandb.Artifact(name, "data")
        for path in paths:
            if path.is_dir():
                artifact.add_dir(str(path), policy="immutable", skip_cache=True)
            else:
                artifact.add_file(str(path), skip_cache=True, policy="immutable")
        return run.log_artifact(artifact).wait()

    def log_small(number: int) -> None:
        (folder / "small").write_text(str(number))
        log("small", folder / "small")

    def use_small(number: int) -> None:
        target = folder / f"down-{number}"
        run.use_artifact(f"small:v{number}").download(str(target), skip_cache=True)

    report.times("ours", "SDK log_artifact, one small file", server, log_small, 30)
    report.times("ours", "SDK use_artifact and download", server, use_small, 30)

    many = folder / "many"
    many.mkdir()
    for number in range(10_000):
        (many / f"{number}").write_text(str(number))
    server.forget_peak()
    started = time.perf_counter()
    artifact = log("many", many)
    report.line("ours", "10,000 files up", f"{time.perf_counter() - started:.2f} s", server)
    server.forget_peak()
    started = time.perf_counter()
    artifact.download(str(folder / "many-down"), skip_cache=True)
    report.line("ours", "10,000 files down", f"{time.perf_counter() - started:.2f} s", server)

    large = folder / "large"
    with large.open("wb") as file:
        for _ in range(int(gigabytes * 1024)):
            file.write(os.urandom(2**20))
    megabytes = large.stat().st_size / 1e6
    started = time.perf_counter()
    with large.open("rb") as source, (folder / "copy").open("wb") as target:
        shutil.copyfileobj(source, target, 2**20)
        target.flush()
        os.fsync(target.fileno())
    report.line(
        "", f"{gigabytes:g} GB file, plain copy", f"{megabytes / (time.perf_counter() - started):.0f} MB/s", server
    )
    server.forget_peak()
    started = time.perf_counter()
    artifact = log("large", large)
    report.line("ours", f"{gigabytes:g} GB file up", f"{megabytes / (time.perf_counter() - started):.0f} MB/s", server)
    server.forget_peak()
    started = time.perf_counter()
    artifact.download(str(folder / "large-down"), skip_cache=True)
    report.line(
        "ours", f"{gigabytes:g} GB file down", f"{megabytes / (time.perf_counter() - started):.0f} MB/s", server
    )
    run.finish()

    server.forget_peak()
    started = time.perf_counter()
    with wandb.init(entity="local", project="sdk", settings=wandb.Settings(silent=True)) as run:
        for step in range(rows):
            run.log({"loss": 1 / (step + 1), "accuracy": step / rows})
    report.line("ours", f"{rows:,} history rows logged", f"{time.perf_counter() - started:.2f} s", server)
    server.forget_peak()
    started = time.perf_counter()
    read = sum(1 for _ in wandb.Api().run(f"local/sdk/{run.id}").scan_history(page_size=10_000))
    report.line("ours", f"{read:,} history rows read", f"{time.perf_counter() - started:.2f} s", server)


class MLflow:
    """The same of MLflow, over its REST interface."""

    def __init__(self, server: Server) -> None:
        self.server, self.session = server, requests.Session()
        self.call("post", "registered-models/create", name="model")
        self.run_id = self.call("post", "runs/create", experiment_id="0")["run"]["info"]["run_id"]

    def another(self) -> MLflow:
        """One more client, by connections of its own."""
        made = copy.copy(self)
        made.session = requests.Session()
        return made

    def call(self, method: str, path: str, **body: Any) -> Any:
        query, sent = (body, None) if method == "get" else (None, body)
        answer = self.session.request(method, f"{self.server.url}/api/2.0/mlflow/{path}", params=query, json=sent)
        answer.raise_for_status()
        return answer.json()

    def register(self, number: int) -> None:
        source = f"runs:/{self.run_id}/model{number}"
        self.call("post", "model-versions/create", name="model", source=source, run_id=self.run_id)

    def promote(self, number: int) -> None:
        version = str(number % 100 + 1)
        self.call("post", "registered-models/alias", name="model", alias="production", version=version)

    def resolve(self) -> None:
        self.call("get", "registered-models/alias", name="model", alias="production")

    def versions(self, first: int) -> None:
        self.call("get", "model-versions/search", max_results=first, filter="name='model'")

    def lineage(self) -> None:
        self.call("get", "runs/get", run_id=self.run_id)


def measure_mlflow(report: Report, server: Server, many: int) -> None:
    mlflow = MLflow(server)
    report.times("MLflow", "register a version (link)", server, mlflow.register, 100)
    report.times("MLflow", "move an alias", server, mlflow.promote, 100)
    report.times("MLflow", "resolve an alias", server, lambda n: mlflow.resolve(), 100)
    report.times("MLflow", "list 100 versions", server, lambda n: mlflow.versions(100), 50)
    for _ in range(many - 100):
        mlflow.register(0)
    report.times("MLflow", f"list {many:,} versions", server, lambda n: mlflow.versions(many), 10)
    report.times("MLflow", f"lineage hop at {many:,} runs", server, lambda n: mlflow.lineage(), 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter that has mlflow")
    parser.add_argument("--many", type=int, default=1000, help="versions and runs (default 1000)")
    parser.add_argument("--gigabytes", type=float, default=1, help="size of the large file (default 1)")
    parser.add_argument("--rows", type=int, default=50_000, help="history rows (default 50,000)")
    options = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        port = free_port()
        env = {"REGISTRY_DIR": str(folder / "registry")}
        command = [sys.executable, "-m", "wandb_registry", "serve", "--port", str(port)]
        with serving(command, port, "/healthz", env) as server:
            pass
        with serving(command, port, "/healthz", env) as again:  # the second start: the store is there
            report.line("ours", "start to first answer, new store", f"{server.seconds:.2f} s", again)
            report.line("ours", "start to first answer", f"{again.seconds:.2f} s", again)
            key = (folder / "registry/api-key").read_text().strip()
            scratch = {f"WANDB_{name}": str(folder) for name in ("DIR", "CACHE_DIR", "DATA_DIR", "ARTIFACT_DIR")}
            os.environ.update({"WANDB_BASE_URL": again.url, "WANDB_API_KEY": key, "WANDB_SILENT": "true", **scratch})
            measure_http(report, again, key, options.many)
            measure_sdk(report, again, folder, options.gigabytes, options.rows)
        if options.mlflow:
            port = free_port()
            database = f"sqlite:///{folder}/mlflow.db"
            command = [options.mlflow, "-m", "mlflow", "server", "--port", str(port), "--backend-store-uri", database]
            command += ["--artifacts-destination", str(folder / "mlflow")]
            with serving(command, port, "/health", {}) as server:
                report.line("MLflow", "start to first answer", f"{server.seconds:.2f} s", server)
                measure_mlflow(report, server, options.many)
            for who, what in [key for key in report.median if key[0] == "MLflow"]:
                ratio = report.median[who, what] / report.median["ours", what]
                print(f"{what:44}{ratio:6.1f} × faster than MLflow")


if __name__ == "__main__":
    main()
