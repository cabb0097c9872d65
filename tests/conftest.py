"""A clone of this repository to run the pipeline in, as a user would: real `dvc`, real processes, an empty home."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest
import wandb
from filelock import FileLock

from tests import workers, working_tree
from wandb_registry import daemon

REPRO = {"repro": ("dvc", "repro"), "mirror": ("dvc-wandb", "mirror")}  # what `make repro` runs

# Hypothesis fails an example that takes 200 ms, as any may on a busy machine; speed is measured in benchmarks/.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # of pytest-xdist, which hands tests out in this order
        items.sort(key=workers.rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> workers.Groups:
    config.option.loadscopereorder = False
    return workers.Groups(config, log)


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit status and everything that it printed."""

    code: int
    text: str

    @property
    def ran(self) -> list[str]:
        """The stages whose commands DVC ran."""
        return re.findall(r"^Running stage '(\w+)'", self.text, flags=re.MULTILINE)


@dataclass
class Clone:
    """The project in a folder of its own, with a home and a registry that nobody else uses."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)
    said: dict[str, Done] = field(default_factory=dict)  # what the commands that a fixture ran printed

    def run(
        self,
        *command: str,
        ok: bool = True,
        under: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        stderr: int | None = subprocess.STDOUT,
    ) -> Done:
        """Run a command in the clone; `ok` says whether it must succeed, `stderr` where that goes (None: to pytest)."""
        done = subprocess.run(
            [*under, *command],
            cwd=self.path,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
        )
        assert not ok or done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}"
        assert "Exception ignored in" not in done.stdout, done.stdout  # what Python says of us while it ends
        return Done(done.returncode, done.stdout)

    def json(self, *command: str, ok: bool = True, env: dict[str, str] | None = None) -> Any:
        """What a command writes to stdout, read as a script would: its progress goes another way."""
        return json.loads(self.run(*command, ok=ok, env=env, stderr=None).text)

    def set(self, **params: object) -> None:
        """Change parameters by their dotted names, written with two underscores: set(train__epochs=6)."""
        for name, value in params.items():
            section, _, key = name.rpartition("__")
            text = (self.path / "params.yaml").read_text()
            start = text.index(f"\n{section}:") if section else 0
            changed = re.sub(rf"(?m)^(\s*){key}:[^#\n]*", rf"\g<1>{key}: {value} ", text[start:], count=1)
            assert changed != text[start:], f"params.yaml has no {name}"
            (self.path / "params.yaml").write_text(text[:start] + changed)

    def read(self, path: str) -> str:
        return (self.path / path).read_text()

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).text


def eventually(condition: Callable[[], object], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


def lives(process: psutil.Process) -> bool:
    """Whether a process has not ended. Whoever started it may let it go between any two questions about it."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def clone_into(path: Path) -> Clone:
    """The working tree's files, committed on `main` of a new repository."""
    clone = clone_with_home(path)
    commit_working_tree(clone)
    return clone


def clone_with_home(path: Path) -> Clone:
    """A clone that is to lie at `path`, with an empty home beside it."""
    home = path.parent / f"{path.name}-home"
    home.mkdir(parents=True, exist_ok=True)
    return Clone(path, {**working_tree.environment(home), "REGISTRY_IDLE_SECONDS": "120"})


def commit_working_tree(clone: Clone) -> None:
    working_tree.copy(clone.path)
    clone.git("init", "--quiet", "--initial-branch=main")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "The project")


def account(clone: Clone, store: str = "") -> dict[str, str]:
    """What a script of one's own needs to use the registry of `clone`."""
    server = daemon.ensure(Path(store or clone.path / ".registry"))
    return {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": server.api_key}


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    """A fresh clone in which nothing has run."""
    (tmp_path / "clone").mkdir()
    made = clone_into(tmp_path / "clone")
    yield made
    made.run("wandb-registry", "stop", ok=False)


def api_of(clone: Clone, monkeypatch: pytest.MonkeyPatch, folder: Path, store: str = "") -> wandb.Api:
    """The SDK in this process, turned to the registry of `clone`: its public API, without this project's code."""
    wandb.teardown()  # it keeps a process's first login
    for name, value in account(clone, store).items():
        monkeypatch.setenv(name, value)
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR"):
        monkeypatch.setenv(name, str(folder))
    return wandb.Api()


@pytest.fixture
def api(pipeline: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> wandb.Api:
    return api_of(pipeline, monkeypatch, tmp_path)


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone in which `make repro`'s commands have run once. Tests only read it, or put back what they change."""
    yield from _copy_that_ran(tmp_path_factory)


@pytest.fixture(scope="module")
def own_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Another such clone, for the tests of one file: in its registry they may leave what they like."""
    yield from _copy_that_ran(tmp_path_factory)


def _copy_that_ran(factory: pytest.TempPathFactory) -> Iterator[Clone]:
    ran = _ran_once(factory.getbasetemp())
    made = clone_with_home(factory.mktemp("pipeline") / "clone")
    subprocess.run(["cp", "--archive", ran.path, made.path], check=True)  # with its hard links
    made.said.update(ran.said)
    yield made
    made.run("wandb-registry", "stop", ok=False)


def _ran_once(base: Path) -> Clone:
    """The one clone in which it ran, whichever worker of pytest-xdist came first; its registry is stopped."""
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    ran = clone_with_home(folder / "ran/clone")
    printed = folder / "ran/printed.json"
    with FileLock(folder / "ran.lock"):
        if not printed.exists():
            shutil.rmtree(ran.path, ignore_errors=True)
            ran.path.mkdir(parents=True)
            commit_working_tree(ran)
            done = {name: ran.run(*command) for name, command in REPRO.items()}
            ran.run("wandb-registry", "stop")
            printed.write_text(json.dumps({name: [one.code, one.text] for name, one in done.items()}))
    ran.said.update({name: Done(*one) for name, one in json.loads(printed.read_text()).items()})
    return ran
