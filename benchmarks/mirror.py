"""What `dvc-wandb mirror` and `dvc-wandb verify` cost as a project grows: files, stages, commits.

    python -m benchmarks.mirror [--files 10000] [--stages 200] [--commits 500]

Each line is one command in a process of its own, against a registry that counts its requests. A mirror needs at least
one upload for each file that is new to the registry. A second mirror and a verify should cost the same whatever the
size of the files. "peak MB" is the highest resident memory of the command with its helpers; "on disk" is what DVC's
cache and the registry's files take together, beside the bytes of the outs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.peak import Peak
from tests import working_tree
from tests.working_tree import ROOT

LINE = "{:<34} {:>8} {:>8} {:>8} {:>8} {:>9} {:>10}"


class Project:
    """A DVC project whose lock and cache are written here, as `dvc repro` would, and a registry for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.env = {**working_tree.environment(path.parent), "PYTHONPATH": str(ROOT)}
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.run("dvc", "init", "--quiet")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.mirror", "--serve", str(path / ".registry")], env=self.env, cwd=path
        )
        while not (path / ".registry/server.json").exists():
            time.sleep(0.05)
        self._url = json.loads((path / ".registry/server.json").read_text())["url"]

    def run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.path, env=self.env, check=True, stdout=subprocess.DEVNULL)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def keep(self, content: bytes, suffix: str = "") -> str:
        """Put a content into DVC's cache; its md5."""
        md5 = hashlib.md5(content).hexdigest()
        place = self.path / ".dvc/cache/files/md5" / md5[:2] / f"{md5[2:]}{suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.write_bytes(content)
            place.chmod(0o444)
        return md5 + suffix

    def folder(self, files: dict[str, bytes]) -> str:
        """Put a folder into DVC's cache; its md5."""
        listed = [{"md5": self.keep(content), "relpath": name} for name, content in sorted(files.items())]
        return self.keep(json.dumps(listed, sort_keys=True).encode(), ".dir")

    def write(self, stages: dict[str, Any], lock: dict[str, Any]) -> None:
        (self.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
        (self.path / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock}))

    def measure(self, what: str, *command: str) -> None:
        """Run one `dvc-wandb` command and print its line."""
        self._counts()
        began = time.perf_counter()
        process = subprocess.Popen(
            ["dvc-wandb", *command],
            cwd=self.path,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with Peak(process.pid) as peak:
            _, errors = process.communicate()
        seconds = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"{what}: exit {process.returncode}\n{errors}")
        counts = self._counts()
        total = sum(counts.values())
        shown = (f"{seconds:.2f}", f"{peak.mb:.0f}", total, counts["upload"], counts["question"], self._disk())
        print(LINE.format(what, *shown), flush=True)

    def _counts(self) -> Counter[str]:
        """The requests to the registry since the last call."""
        with urllib.request.urlopen(f"{self._url}/benchmark/counts") as answer:
            return Counter(json.load(answer))

    def _disk(self) -> str:
        """Megabytes of DVC's cache and the registry's files, a file with two names once."""
        folders = (self.path / ".dvc/cache/files", self.path / ".registry/blobs")
        files = {stat.st_ino: stat for top in folders for path in top.rglob("*") if (stat := path.lstat())}
        return f"{sum(stat.st_blocks * 512 for stat in files.values()) / 1e6:.1f} MB"

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()
        shutil.rmtree(self.path)


def out(path: str, md5: str) -> dict[str, str]:
    return {"path": path, "hash": "md5", "md5": md5}


def many_files(project: Project, count: int, size: int) -> None:
    """One stage whose folder has `count` files of `size` bytes."""
    files = {f"{at // 1000:03}/{at:06}.bin": f"{at:0{size}}".encode() for at in range(count)}
    project.write(
        {"make": {"cmd": "true", "outs": ["data"]}},
        {"make": {"cmd": "true", "outs": [out("data", project.folder(files))]}},
    )
    project.commit("One folder")


def many_stages(project: Project, count: int) -> None:
    """`count` stages in a row, each with one file from the one before."""
    stages: dict[str, Any] = {}
    lock: dict[str, Any] = {}
    for at in range(count):
        name, before = f"f{at}.txt", f"f{at - 1}.txt"
        deps = [before] if at else []
        stages[f"s{at}"] = {"cmd": f"make {at}", "deps": deps, "outs": [name]}
        lock[f"s{at}"] = {
            "cmd": f"make {at}",
            "deps": [out(path, project.keep(f"{at - 1}\n".encode())) for path in deps],
            "outs": [out(name, project.keep(f"{at}\n".encode()))],
        }
    project.write(stages, lock)
    project.commit("Many stages")


def many_commits(project: Project, count: int) -> None:
    """`count` commits, each with another model from other data, and its metrics in git."""
    stages = {
        "make": {"cmd": "make", "params": ["n"], "outs": ["data.txt"]},
        "train": {
            "cmd": "train",
            "deps": ["data.txt"],
            "outs": ["model.txt"],
            "metrics": [{"m.json": {"cache": False}}],
        },
    }
    for at in range(count):
        data, model = project.keep(f"data {at}".encode()), project.keep(f"model {at}".encode())
        (project.path / "m.json").write_text(json.dumps({"accuracy": at}))
        metrics = hashlib.md5((project.path / "m.json").read_bytes()).hexdigest()
        (project.path / "params.yaml").write_text(f"n: {at}\n")
        params = {"params.yaml": {"n": at}}
        lock = {
            "make": {"cmd": "make", "params": params, "outs": [out("data.txt", data)]},
            "train": {
                "cmd": "train",
                "deps": [out("data.txt", data)],
                "outs": [out("m.json", metrics), out("model.txt", model)],
            },
        }
        project.write(stages, lock)
        project.commit(f"Commit {at}")


def benchmark(title: str, floor: int, make: Callable[[Project], None], *options: str) -> None:
    """Mirror, mirror again and verify the project that `make` writes; `floor` is the least number of uploads."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder) / "project")
        try:
            make(project)
            print(f"\n{title}; at least {floor} uploads")
            print(LINE.format("", "seconds", "peak MB", "requests", "uploads", "questions", "on disk"))
            project.measure("mirror", "mirror", *options)
            project.measure("mirror again", "mirror", *options)
            project.measure("verify", "verify")
        finally:
            project.close()


def serve(folder: Path) -> None:
    """The registry of `folder`, counting its requests."""
    from wandb_registry import listener, store_folder
    from wandb_registry import serve as server
    from wandb_registry.http.own_address import OwnAddress

    counts: Counter[str] = Counter()
    create = server.create_app

    def counting(*given: Any, **named: Any) -> Any:
        app = create(*given, **named)

        async def count(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"] == "/benchmark/counts":
                body = json.dumps(counts).encode()
                counts.clear()
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": body})
                return
            if scope["type"] == "http":
                put = scope["method"] == "PUT" and "/storage/artifacts/" in scope["path"]
                counts["upload" if put else "question" if scope["path"] == "/graphql" else "other"] += 1
            await app(scope, receive, send)

        return count

    server.create_app = counting
    store_folder.prepare(folder)
    listening = listener.listen(folder)
    listener.write_server_info(folder, "127.0.0.1", listening.port, os.getpid())
    server.serve(folder, listening, server.Options(OwnAddress(loopback=True)), lambda: None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="of the folder out (default: 10000)")
    parser.add_argument("--stages", type=int, default=200, help="of the long pipeline (default: 200)")
    parser.add_argument("--commits", type=int, default=500, help="of the history (default: 500)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    files, stages, commits = options.files, options.stages, options.commits
    benchmark(f"{files} files of 1 kB", files, lambda project: many_files(project, files, 1000))
    benchmark(f"{files} files of 20 kB", files, lambda project: many_files(project, files, 20_000))
    benchmark(f"{stages} stages", stages, lambda project: many_stages(project, stages))
    benchmark(f"{commits} commits", 3 * commits, lambda project: many_commits(project, commits), "--all-commits")


if __name__ == "__main__":
    main()
