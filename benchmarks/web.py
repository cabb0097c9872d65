"""How fast the registry's pages are: the server's time and its CPU, the browser's time to load, and the weight of each
page.

    python -m benchmarks.web [--runs N] [--versions N] [--rows N] [--nodes N] [--times N]

Fills a store of its own over HTTP, then opens each page in Debian's Chromium, at few and at many runs. Medians.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import psutil
import requests
from playwright.sync_api import sync_playwright

from benchmarks.registry import MANIFEST, PROJECT, Graph, Server
from wandb_registry import daemon

FEW = 10
STEPS, METRICS, LINES = 1_000, 20, 100  # of the workspace whose charts are measured
PICTURES = 200
TRIALS = 500  # of a sweep: the most that its page draws
SPACE = {"lr": {"distribution": "log_uniform_values", "min": 0.0001, "max": 0.1}, "dropout": {"min": 0.0, "max": 0.5},
         "arch": {"values": ["cnn", "mlp", "vit"]}}  # fmt: skip


def run(graph: Graph, project: str, number: int, **more: Any) -> None:
    summary = json.dumps({"accuracy": (number * 37 % 1000) / 1000, "loss": 1 / (number + 1)})
    config = json.dumps({"lr": {"value": number / 1000}, "epochs": {"value": number % 9}})
    graph.ask(
        "mutation B($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }",
        i={"name": f"r{number}", "entityName": "local", "modelName": project, "displayName": f"run {number}",
           "jobType": "train", "summaryMetrics": summary, "config": config, "state": "finished"} | more,
    )  # fmt: skip


def png(shade: int) -> bytes:
    """A grey picture of 28 × 28 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    head = (28).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    rows = (b"\0" + bytes([shade]) * 28) * 28
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def log(graph: Graph, name: str, files: dict[str, bytes], run_name: str) -> str:
    """Logs a version with these files, as the SDK does."""
    entries = {
        path: {"digest": base64.b64encode(hashlib.md5(body).digest()).decode(), "size": len(body)}
        for path, body in files.items()
    }
    text = "".join(f"{path}:{entries[path]['digest']}\n" for path in sorted(entries))
    digest = hashlib.md5(f"wandb-artifact-manifest-v1\n{text}".encode()).hexdigest()
    number = graph.ask(
        "mutation A($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { id } } }",
        i={**PROJECT, "runName": run_name, "artifactTypeName": "dataset", "artifactCollectionName": name,
           "digest": digest, "enableDigestDeduplication": True,
           "aliases": [{"artifactCollectionName": name, "alias": "latest"}]},
    )["createArtifact"]["artifact"]["id"]  # fmt: skip
    asked = [{"artifactID": number, "name": path, "md5": entry["digest"]} for path, entry in entries.items()]
    edges = graph.ask(
        "mutation F($i: CreateArtifactFilesInput!) { createArtifactFiles(input: $i) { files { edges { node"
        " { uploadUrl } } } } }",
        i={"artifactFiles": asked, "storageLayout": "V2"},
    )["createArtifactFiles"]["files"]["edges"]
    for edge, body in zip(edges, files.values(), strict=True):
        if edge["node"]["uploadUrl"]:
            requests.put(edge["node"]["uploadUrl"], data=body).raise_for_status()
    body = json.dumps({**MANIFEST, "contents": entries}).encode()
    place = graph.ask(
        "mutation M($i: CreateArtifactManifestInput!) { createArtifactManifest(input: $i) { artifactManifest"
        " { file { uploadUrl } } } }",
        i={**PROJECT, "artifactID": number, "name": "wandb_manifest.json", "runName": run_name, "type": "FULL",
           "digest": base64.b64encode(hashlib.md5(body).digest()).decode()},
    )["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]  # fmt: skip
    requests.put(place, data=body).raise_for_status()
    graph.ask("mutation C($i: ID!) { commitArtifact(input: {artifactID: $i}) { artifact { id } } }", i=number)
    return number


def table(rows: int) -> dict[str, bytes]:
    pictures = {f"media/images/{shade}.png": png(shade) for shade in range(PICTURES)}
    data = [
        [n, n % 10, {"_type": "image-file", "path": f"media/images/{n % PICTURES}.png", "width": 28, "height": 28}]
        for n in range(rows)
    ]
    body = {"_type": "table", "columns": ["number", "digit", "img"], "data": data, "ncols": 3, "nrows": rows}
    return {"digits.table.json": json.dumps(body).encode(), **pictures}


def lineage(graph: Graph, nodes: int) -> None:
    """A graph of so many nodes around one data set: runs that use it, and what each of them makes."""
    root = log(graph, "root", {"data": b"root"}, "r0")
    for number in range((nodes - 2) // 2):
        name = f"l{number}"
        graph.run(name)
        where = {"entityName": "local", "projectName": "bench", "runName": name}
        graph.ask(
            "mutation U($i: UseArtifactInput!) { useArtifact(input: $i) { artifact { id } } }",
            i={**where, "artifactID": root},
        )
        log(graph, f"made{number}", {"made": str(number).encode()}, name)


def curves(graph: Graph) -> None:
    """A project of LINES runs, each with STEPS values of METRICS metrics, as noisy as a training."""
    noise = random.Random(1)
    names = [f"{part}/m{number}" for part in ("train", "val") for number in range(METRICS // 2)]
    for number in range(LINES):
        run(graph, "curves", number)
        rows = [
            json.dumps(
                {"_step": step, "_runtime": step / 2, **{name: noise.gauss(100 / (step + 9), 0.1) for name in names}}
            )
            for step in range(STEPS)
        ]
        body = {"files": {"wandb-history.jsonl": {"offset": 0, "content": rows}}, "complete": True, "exitcode": 0}
        graph.session.post(f"{graph.url}/files/local/curves/r{number}/file_stream", json=body).raise_for_status()


def sweep(graph: Graph) -> str:
    """A random search of TRIALS runs, all of them ended. Returns its name."""
    metric = {"name": "accuracy", "goal": "maximize"}
    config = json.dumps({"method": "random", "metric": metric, "parameters": SPACE})
    name = graph.ask(
        "mutation S($i: UpsertSweepInput!) { upsertSweep(input: $i) { sweep { name } } }",
        i={"config": config, "entityName": "local", "projectName": "swept"},
    )["upsertSweep"]["sweep"]["name"]
    chance = random.Random(1)
    for number in range(TRIALS):
        lr, dropout, arch = 10 ** chance.uniform(-4, -1), chance.uniform(0, 0.5), chance.choice(["cnn", "mlp", "vit"])
        config = json.dumps({"lr": {"value": lr}, "dropout": {"value": dropout}, "arch": {"value": arch}})
        run(graph, "swept", number, config=config, sweep=name)
    return name


def fill(graph: Graph, options: argparse.Namespace) -> str:
    """Fills the store. Returns the name of the sweep."""
    curves(graph)
    for number in range(FEW):
        run(graph, "few", number)
    for number in range(options.runs):
        run(graph, "many", number)
    graph.run("r0")
    for number in range(options.versions):
        log(graph, "versions", {"file": str(number).encode()}, "r0")
    log(graph, "table", table(options.rows), "r0")
    lineage(graph, options.nodes)
    for first in range(0, 50_000, 5_000):
        rows = [
            json.dumps({"_step": n, "_timestamp": n, "loss": 1 / (n + 1), "accuracy": n})
            for n in range(first, first + 5_000)
        ]
        body = {"files": {"wandb-history.jsonl": {"offset": first, "content": rows}}}
        graph.session.post(f"{graph.url}/files/local/many/r0/file_stream", json=body).raise_for_status()
    return sweep(graph)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=60_000, help="of the table")
    parser.add_argument("--nodes", type=int, default=500, help="of the lineage graph")
    parser.add_argument("--times", type=int, default=9, help="how often each page is opened")
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("There is no Chromium to look with. Install it: sudo apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = Path(folder) / "store"
        server = daemon.ensure(store)
        try:
            print("filling the store …", file=sys.stderr, flush=True)
            swept = fill(Graph(Server(server.url, server.pid, 0), server.api_key), options)
            measure(server, str(daemon.login_url(store)), chromium, options, swept)
        finally:
            daemon.stop(store)


def cpu(pid: int) -> float:
    """The seconds of CPU that a process has taken, which other processes of a busy machine don't change."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def measure(server: daemon.Server, sign_in: str, chromium: str, options: argparse.Namespace, swept: str) -> None:
    url, base = server.url, "/local/bench/artifacts/dataset"
    pages = {
        "home": "/",
        f"runs, {FEW}": "/local/few/runs",
        f"runs, {options.runs:,}": "/local/many/runs",
        "the same, sorted by a metric": "/local/many/runs?sort=-summary.accuracy",
        "the same, filtered": "/local/many/runs?key=summary.accuracy&is=%3E&value=0.9",
        "run, 50,000 history rows": "/local/many/runs/r0",
        "registered models": "/registry/model",
        f"version, one of {options.versions:,}": f"{base}/versions/latest",
        "versions compared": f"{base}/versions/compare?from=v0&to=v1",
        f"table, {options.rows:,} rows": f"{base}/table/v0/files/digits.table.json",
        "the same, sorted, last page": f"{base}/table/v0/files/digits.table.json?sort=-c0&page=1000",
        "the same, as a grid": f"{base}/table/v0/files/digits.table.json?view=grid",
        f"lineage, {options.nodes} nodes": f"{base}/root/v0/lineage",
        "lineage of the project's newest runs": "/local/bench/lineage",
        f"sweep, {TRIALS} runs": f"/local/swept/sweeps/{swept}",
    }
    print(f"{'page':38}{'server ms':>11}{'CPU ms':>9}{'load ms':>10}{'kB':>8}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page: Any = context.new_page()
        page.goto(sign_in)
        session = requests.Session()
        for cookie in context.cookies():
            session.cookies.set(cookie.get("name", ""), cookie.get("value", ""))
        for words, address in pages.items():
            session.get(url + address).raise_for_status()  # a table's first opening makes its index
            served, loaded, spent = [], [], 0.0
            for _ in range(options.times):
                page.goto("about:blank")  # a page of what is under way asks again as soon as it stands
                before, started = cpu(server.pid), time.perf_counter()
                session.get(url + address).raise_for_status()
                served.append((time.perf_counter() - started) * 1000)
                spent += (cpu(server.pid) - before) * 1000 / options.times
                page.goto(url + address, wait_until="load")
                loaded.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
            weight = page.evaluate(
                "performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))"
                ".filter(e => e.initiatorType !== 'img').reduce((sum, e) => sum + e.decodedBodySize, 0)"
            )
            print(
                f"{words:38}{statistics.median(served):11.1f}{spent:9.0f}{statistics.median(loaded):10.0f}"
                f"{weight / 1000:8.0f}",
                flush=True,
            )
        measure_charts(page, url)
        browser.close()


def measure_charts(page: Any, url: str) -> None:
    """The workspace of LINES runs: until its charts are drawn, what is sent for it, and the frames of a drag."""
    for words in ("workspace, first time", "workspace, again"):
        page.goto(f"{url}/local/curves/runs?rows={LINES}", wait_until="load")
        loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        page.wait_for_function("() => document.querySelectorAll('.plot canvas').length >= 4", timeout=120_000)
        drawn = page.evaluate("performance.now()")
        sent = page.evaluate(
            "performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))"
            ".reduce((sum, e) => sum + e.encodedBodySize, 0)"
        )
        served = page.evaluate(
            "performance.getEntriesByType('resource').filter(e => e.name.includes('/series?'))"
            ".map(e => e.responseStart - e.requestStart)"
        )
        print(f"{words}: loaded {loaded:.0f} ms, charts {drawn:.0f} ms, lines served in "
              f"{', '.join(f'{ms:.0f}' for ms in served)} ms, sent {sent / 1000:.0f} kB", flush=True)  # fmt: skip
    box = page.locator(".plot .u-over").first.bounding_box()
    page.evaluate("window.frames_ = 0; (function f() { window.frames_ += 1; requestAnimationFrame(f); })()")
    page.mouse.move(box["x"] + 5, box["y"] + 40)
    page.mouse.down()
    started, frames = time.perf_counter(), page.evaluate("window.frames_")
    while (seconds := time.perf_counter() - started) < 3:
        page.mouse.move(box["x"] + 5 + (box["width"] - 10) * seconds / 3, box["y"] + 40)
    print(f"a drag at {LINES} lines: {(page.evaluate('window.frames_') - frames) / seconds:.0f} frames a second")
    page.mouse.up()


if __name__ == "__main__":
    main()
