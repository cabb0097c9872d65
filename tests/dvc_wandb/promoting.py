"""A small project that promotes: a file is its model, and every model passes but one that says bad."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import wandb

from tests.conftest import Clone, account
from tests.dvc_wandb.conftest import project_in

TARGET = "model-registry/Best"
REGISTER = f"""  register:
    cmd: md5sum model.txt | cut -c1-32 > registered.txt
    deps: [model.txt]
    outs:
      - registered.txt: {{cache: false}}
    meta: {{wandb: {{links: {{model.txt: {TARGET}}}}}}}
"""
STAGES = f"""
stages:
  train:
    cmd: cp words.txt model.txt
    deps: [words.txt]
    outs: [model.txt]
{REGISTER}  judge:
    cmd: python judge.py
    deps: [judge.py, words.txt, registered.txt]
    outs:
      - champion.json: {{cache: false, persist: true}}
    metrics:
      - verdict.json: {{cache: false}}
    meta: {{wandb: {{promotes: champion.json, branches: promote.branches}}}}
"""
JUDGE = f"""
import json
from pathlib import Path
from dvc_wandb import production
from dvc_wandb.production import Record

file, candidate = Path("champion.json"), Path("registered.txt").read_text().strip()
record = production.read(file) if file.exists() else Record("{TARGET}")
passes = "bad" not in Path("words.txt").read_text() and not record.exclusion(candidate)
if passes and record.model_md5 != candidate:
    record = record.by_gate(candidate, "e", {{}}, "it is good")
production.write(file, record)
Path("verdict.json").write_text(json.dumps({{"decision": "passes" if passes else "does not pass"}}))
"""


@dataclass
class Project(Clone):
    """One clone of it."""

    def write(self, words: str) -> str:
        """Another model, run; its md5."""
        (self.path / "words.txt").write_text(words)
        self.run("dvc", "repro", "--quiet")
        return self.read("registered.txt").strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def ask(self, *words: str, ok: bool = True, env: dict[str, str] | None = None) -> str:
        """What a dvc-wandb command prints; it has to end with 0 if `ok`, else with 1."""
        done = self.run("dvc-wandb", *words, ok=ok, env=env)
        assert done.code == (0 if ok else 1), done.text
        assert "Traceback" not in done.text
        return done.text

    def decide(self, words: str) -> str:
        """Another model, committed and promoted."""
        md5 = self.write(words)
        self.commit(words)
        self.ask("promote")
        assert self.held() == self.recorded == md5
        return md5

    @property
    def record(self) -> dict:
        return json.loads(self.read("champion.json"))

    @property
    def recorded(self) -> str:
        return self.record["model_md5"]

    def api(self) -> wandb.Api:
        server = account(self, self.env.get("REGISTRY_DIR", ""))
        return wandb.Api(overrides={"base_url": server["WANDB_BASE_URL"]}, api_key=server["WANDB_API_KEY"])

    def held(self) -> str | None:
        """The md5 of the model that has the alias in the registry."""
        api, name = self.api(), f"{TARGET}:production"
        if not api.artifact_exists(name):
            return None
        found = [alias for alias in api.artifact(name).aliases if alias.startswith("dvc-")]
        return found[0].removeprefix("dvc-")

    def click(self, md5: str) -> str:
        """Someone moves the alias in the registry; the version that has it then."""
        version = self.api().artifact(f"{TARGET}:dvc-{md5}")
        version.aliases.append("production")
        version.save()
        return version.version

    def cloned(self, folder: Path, **env: str) -> Project:
        """Another person's clone, without a cache or a registry of its own."""
        path = folder / "project"
        other = Project(path, {**self.env, **env})
        self.run("git", "clone", "--quiet", self.git("remote", "get-url", "origin").strip(), str(path))
        return other


def make(folder: Path) -> Project:
    """The project with `one` in production on both sides, and a bare repository `origin` beside it."""
    clone = project_in(folder / "project")
    project = Project(clone.path, clone.env)
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    params = "promote:\n  branches: [main]\nproject: best\n"
    for name, text in {"dvc.yaml": STAGES, "judge.py": JUDGE, "params.yaml": params}.items():
        (project.path / name).write_text(text)
    (project.path / ".gitignore").write_text("/.registry/\n/model.txt\n/wandb/\n")
    project.git("init", "--quiet", "--bare", "--initial-branch=main", str(folder / "origin.git"))
    project.git("remote", "add", "origin", str(folder / "origin.git"))
    project.decide("one")
    project.git("push", "--quiet", "--set-upstream", "origin", "main")
    project.git("gc", "--quiet")  # as in a clone from a server, all objects in a pack
    return project


def copied(project: Project, folder: Path) -> Project:
    """The project, its registry and its origin as they are, in a folder of a test's own; the registry is stopped."""
    shutil.copytree(project.path.parent, folder, symlinks=True)
    other = Project(folder / "project", dict(project.env))
    other.git("remote", "set-url", "origin", str(folder / "origin.git"))
    return other
