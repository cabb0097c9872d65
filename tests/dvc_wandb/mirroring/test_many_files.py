"""Many small files and pictures reach the registry in a few requests, as the SDK alone would have them there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import wandb

from dvc_wandb.project.files import md5_of
from tests.conftest import Clone, api_of, eventually
from tests.dvc_wandb.conftest import project_in

pytestmark = pytest.mark.slow

COUNT = 150
STAGES = """
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    outs: [many]
    meta: {wandb: {views: "make:tables"}}
"""
MAKE = f"""
import pathlib

def tables(folder):
    import numpy as np, wandb
    pictures = [wandb.Image(np.full((4, 4), number, "uint8"), caption=str(number)) for number in range({COUNT})]
    return {{"seen": wandb.Table(columns=["number", "picture"], data=[list(row) for row in enumerate(pictures)]),
            "one": wandb.Image(np.full((3, 3), 7, "uint8"))}}

if __name__ == "__main__":
    for number in range({COUNT}):
        path = pathlib.Path("many", f"{{number}}.txt")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"file {{number}}")
"""


def requests_of(log: Path) -> list[str]:
    """What the server was asked, by its log: `PUT /storage/…`."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return [f"{line['method']} {line['path']}" for line in lines if "method" in line]


def as_the_sdk_has_them(project: Clone) -> dict[str, str]:
    """The digests of the artifact's files by their names, if nothing but the SDK makes it."""
    program = (
        "import json, pathlib, wandb, make; one = wandb.Artifact('many', 'out'); one.add_dir('many')\n"
        "for name, value in make.tables(pathlib.Path('many')).items(): one.add(value, name)\n"
        "print(json.dumps({name: str(entry.digest) for name, entry in one.manifest.entries.items()}))"
    )
    env = {**project.env, "PYTHONPATH": str(project.path), "WANDB_DIR": project.env["HOME"]}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project.path, env=env, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_they_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(STAGES)
    (project.path / "make.py").write_text(MAKE)
    store, log = project.path / ".registry", tmp_path / "log"
    command = [sys.executable, "-m", "wandb_registry", "serve", "--port", "0", "--log-format", "json"]
    with log.open("w") as to:
        server = subprocess.Popen(command, env={**project.env, "REGISTRY_DIR": str(store)}, stdout=to, stderr=to)
    try:
        eventually(lambda: (store / "server.json").exists())
        project.run("dvc", "repro")
        project.run("dvc-wandb", "mirror")
        version = api_of(project, monkeypatch, tmp_path).artifact("project/many:latest")
        entries, table = version.manifest.entries, version.get("seen")
        assert isinstance(table, wandb.Table)
        assert [row[0] for row in table.data] == list(range(COUNT))
        project.run("dvc-wandb", "verify")
        asked = requests_of(log)
    finally:
        server.terminate()
        server.wait(60)
    assert {name: str(entry.digest) for name, entry in entries.items()} == as_the_sdk_has_them(project)
    sent = [one.rpartition("/")[2] for one in asked if one.startswith("PUT /storage/artifacts/")]
    assert sent == [md5_of(project.path / "make.py")], "the code alone, which is a version of its own"
