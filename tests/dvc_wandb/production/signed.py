"""A small project whose model in production is signed, and what one does with its statement."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dvc_wandb.provenance import bundle
from tests.dvc_wandb import promoting
from tests.dvc_wandb.conftest import project_in
from tests.dvc_wandb.promoting import Project

STAGES = f"""
stages:
  clean:
    cmd: sort raw.csv > clean.csv
    deps: [raw.csv]
    outs: [clean.csv]
  train:
    cmd: python train.py
    deps: [train.py, clean.csv]
    params: [rate]
    outs: [model.txt]
{promoting.REGISTER}  weigh:
    cmd: python weigh.py
    deps: [weigh.py, clean.csv]
    params: [labels]
    outs: [weights.json, parts]
  judge:
    cmd: python judge.py
    deps: [judge.py, registered.txt]
    params: [promote.least]
    outs:
      - champion.json: {{cache: false, persist: true}}
    metrics:
      - verdict.json: {{cache: false}}
    meta: {{wandb: {{promotes: champion.json, branches: promote.branches, signed_by: keys/key.pub}}}}
"""
TRAIN = """
import yaml
rate = yaml.safe_load(open("params.yaml"))["rate"]
open("model.txt", "w").write(f"{rate} {open('clean.csv').read()}")
"""
NO_NETWORK = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9")  # where nobody listens
SHA256 = "0" * 64
HASH = f"sha256:{SHA256}"
PYLOCK = f"""
lock-version = "1.0"
[[packages]]
name = "pyyaml"
version = "{yaml.__version__}"
wheels = [{{ name = "pyyaml.whl", hashes = {{ sha256 = "{SHA256}" }} }}]
"""
# As on another processor: not quite the same numbers
WEIGH = """
import json, os
json.dump({"w": 1 + float(os.environ.get("SHIFT", 0))}, open("weights.json", "w"))
os.mkdir("parts")
open("parts/one.txt", "w").write("1")
"""
JUDGE = promoting.JUDGE.replace('Path("words.txt")', 'Path("registered.txt")')
PARAMS = "promote:\n  branches: [main]\n  least: 0.9\nproject: best\nrate: 0.5\n"
# What YAML has and JSON doesn't
PARAMS += "labels: {names: {0: zero, 1: one}, most: .inf, least: .nan}\n"


def make_key(folder: Path, name: str) -> Path:
    """A key as docs/provenance.md says that one is made; its public part lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    key, public = folder / f"{name}.pem", folder / f"{name}.pub"
    for command in (
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
        ["openssl", "ec", "-in", key, "-pubout", "-out", public],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return key


@contextmanager
def made(folder: Path) -> Iterator[Project]:
    """A model in production, signed once; the statement lies beside the project in `folder`, and so do the keys."""
    clone = project_in(folder / "project")
    project = Project(clone.path, {**clone.env, "TMPDIR": str(folder)})
    make_key(folder, "other")
    key = make_key(folder, "key")
    (project.path / "keys").mkdir()
    shutil.copy(key.with_suffix(".pub"), project.path / "keys/key.pub")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    files = {"dvc.yaml": STAGES, "train.py": TRAIN, "judge.py": JUDGE, "weigh.py": WEIGH, "params.yaml": PARAMS}
    files["raw.csv"] = "b\na\n"
    for name, text in files.items():
        (project.path / name).write_text(text)
    (project.path / ".gitignore").write_text("/.registry/\n/wandb/\n")
    (project.path / "requirements.txt").write_text(f"pyyaml=={yaml.__version__}\n")
    (project.path / "pylock.toml").write_text(PYLOCK)
    project.run("dvc", "repro", "--quiet")
    project.commit("A model")
    project.ask("promote")
    project.said["unsigned"] = project.run("dvc-wandb", "verify", ok=False)
    project.said["attest"] = project.run(
        "dvc-wandb", "attest", "--key", str(key), "-o", str(folder / "a.sigstore.json")
    )
    yield project
    project.run("wandb-registry", "stop", ok=False)


def given_to(folder: Path, project: Project) -> Path:
    """The model, its statement and its signature in `folder`, as somebody gets them who has nothing else."""
    beside = project.path.parent
    shutil.copy(project.path / "model.txt", folder / "model.txt")
    shutil.copy(beside / "a.sigstore.json", folder / "model.txt.sigstore.json")
    shutil.copy(beside / "a.sig", folder / "model.txt.sig")
    shutil.copy(beside / "key.pub", folder / "key.pub")
    return folder


def stated(file: Path) -> dict[str, Any]:
    return json.loads(base64.b64decode(json.loads(file.read_text())["dsseEnvelope"]["payload"]))


def check(project: Project, given: Path, *words: str, key: str = "key.pub", ok: bool = True) -> str:
    command = ("check", str(given / "model.txt.sigstore.json"), "--signed-by", str(given / key), *words)
    return project.ask(*command, ok=ok)


def resign(project: Project, given: Path, statement: dict[str, Any], name: str) -> None:
    """The statement as whoever holds the key `name` signs it."""
    key: Any = load_pem_private_key((project.path.parent / f"{name}.pem").read_bytes(), None)
    (given / "model.txt.sigstore.json").write_bytes(bundle.seal(statement, key))


def flip(file: Path, at: int = -2) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def commands(page: str) -> list[str]:
    return re.findall(r"^    \$ (.+)$", page, flags=re.MULTILINE)
