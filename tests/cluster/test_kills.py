"""Whatever is killed at a random moment, the next call ends with the bytes of a serial run, and repeats nothing."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.conftest import Engine, ready, wait_for
from tests.conftest import Clone, eventually
from tests.dvc_wandb.conftest import project_in
from tests.dvc_wandb.kinds import copy, differences
from tests.dvc_wandb.mirroring.test_parallel import STAGE
from tests.engines.object_storage import bucket
from wandb_registry import daemon

pytestmark = [pytest.mark.cluster, pytest.mark.soak]
WAYS = {"dask": ("dask", False), "slurm": ("slurm", True), "slurm-away": ("slurm", False)}
# How many stages may begin once more: the kill ended them, or Dask's scheduler takes the workers along, or slurmctld
# forgot the last second and starts jobs again
AGAIN = {"head": 0, "registry": 0, "stage": 1, "machine": 2, "ctld": 3, "scheduler": 3}
SECONDS = {True: 10, False: 25}  # that the whole of it takes, in one folder or not
# Each stage is a W&B run, takes a second, and tells the test that it began
STAGES = """
stages:
  part:
    foreach: [1, 2, 3]
    do:
      cmd:
        - touch $RAN/part@${item}-$$
        - sleep 1
        - python stage.py part@${item} ${item}.txt
      deps: [stage.py]
      outs: ["${item}.txt"]
  grown:
    cmd: touch $RAN/grown-$$ && echo half >> grown.txt && sleep 1 && echo more >> grown.txt
    deps: [1.txt]
    outs:
      - grown.txt: {persist: true}
  join:
    cmd: touch $RAN/join-$$ && sleep 1 && cat 1.txt 2.txt 3.txt grown.txt > all.txt
    deps: [1.txt, 2.txt, 3.txt, grown.txt]
    outs:
      - all.txt: {cache: false}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each stage leaves a file when it begins."""
    return tmp_path_factory.mktemp("ran")


@pytest.fixture(scope="module")
def fresh(heads: Path, engine: Engine, storage: str, ran: Path) -> Clone:
    project = project_in(heads / f"kills-{engine.name}/fresh")
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(STAGES.replace("$RAN", str(ran)))
    (project.path / "stage.py").write_text(STAGE)
    (project.path / ".gitignore").write_text("/.registry\n/wandb\n")
    ready(project, engine, storage)
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Stages that take a second")
    return project


@pytest.fixture(scope="module")
def serial(fresh: Clone) -> Clone:
    """The same after `dvc repro`."""
    done = copy(fresh, fresh.path.with_name("serial"))
    done.run("dvc", "repro", env={"WANDB_MODE": "disabled"})
    return done


@pytest.fixture
def project(
    fresh: Clone, serial: Clone, engine: Engine, is_shared: bool, storage: str, ran: Path, tmp_path: Path
) -> Iterator[Clone]:
    """A copy in which nothing has run, nor anywhere else."""
    begin_anew(engine, storage, ran)
    yield (made := copy(fresh, (tmp_path if is_shared else fresh.path.parent) / "killed"))
    engine.mend()
    daemon.stop(made.path / ".registry")
    shutil.rmtree(made.path)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("what", ["stage", "machine", "controller", "head", "registry"])
@pytest.mark.parametrize(("engine", "is_shared"), WAYS.values(), ids=WAYS, indirect=["engine"], scope="module")
def test_the_next_call_ends_with_the_serial_bytes(
    project: Clone, serial: Clone, engine: Engine, is_shared: bool, ran: Path, tmp_path: Path, what: str, seed: int
):
    chance = random.Random(f"{engine.name} {is_shared} {what} {seed}")
    options = ("--on", "slurm") if is_shared else engine.options
    printed = tmp_path / "printed"
    with printed.open("w") as output:
        head = subprocess.Popen(
            ["dvc-wandb", "repro", *options],
            cwd=project.path,
            env=project.env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    assert eventually(lambda: any(ran.iterdir())), printed.read_text()
    time.sleep(chance.random() * SECONDS[is_shared])
    killed = kill(what, engine, project, head, ran, chance)
    wait_for(head, engine)
    engine.mend()
    recorded = set(re.findall(r"^  ([\w@]+):$", project.read("dvc.lock"), re.M)) if has_lock(project) else set()
    began = runs_of(ran)
    said = project.run("dvc-wandb", "repro", *options).text
    print(f"killed: {killed}\n{printed.read_text()}--- then\n{said}")
    again = {stage for stage, times in runs_of(ran).items() if stage in recorded and times > began[stage]}
    assert not again
    assert sum(runs_of(ran).values()) - len(runs_of(ran)) <= AGAIN[engine.controller if what == "controller" else what]
    assert differences(serial, project) == []
    project.run("dvc-wandb", "mirror")
    assert "agree" in project.run("dvc-wandb", "verify").text


def begin_anew(engine: Engine, storage: str, ran: Path) -> None:
    for name in ran.iterdir():
        name.unlink()
    for cache in engine.homes("**/.cache/dvc-wandb"):
        shutil.rmtree(cache)
    store = bucket(storage)
    for page in store.get_paginator("list_objects_v2").paginate(Bucket="team"):
        for one in page.get("Contents", ()):
            store.delete_object(Bucket="team", Key=one["Key"])


def kill(
    what: str, engine: Engine, project: Clone, head: subprocess.Popen[bytes], ran: Path, chance: random.Random
) -> str:
    """kill -9 of the head, a worker or slurmd, the scheduler or slurmctld, the registry, or a process of a stage."""
    if what == "head":
        head.kill()
        return what
    if what == "machine":
        machine = chance.choice(engine.machines)
        engine.kill(machine)
        return machine
    if what == "controller":
        engine.kill(engine.controller)
        time.sleep(chance.random() * 5)
        engine.mend()
        return engine.controller
    of_stage = "dvc_wandb.parallel.cluster.node"
    marks = ("wandb_registry serve",) if what == "registry" else (of_stage, str(ran))
    while not (victims := of_test(project, engine, marks)) and head.poll() is None:
        time.sleep(0.05)
    if not victims:
        return f"no process of the {what}: all had ended"
    victim, line = chance.choice(victims), "ended by itself"
    with contextlib.suppress(psutil.Error):
        line = " ".join(victim.cmdline())
        victim.kill()
    return line


def of_test(project: Clone, engine: Engine, marks: tuple[str, ...]) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if belongs(process, project, engine, marks)]


def belongs(process: psutil.Process, project: Clone, engine: Engine, marks: tuple[str, ...]) -> bool:
    """Whether it is a process of this test: it has the engine's folder or the project's in its environment."""
    try:
        if not any(mark in " ".join(process.cmdline()) for mark in marks):
            return False
        values = " ".join([*process.environ().values(), process.cwd()])
        return str(engine.folder) in values or str(project.path) in values
    except psutil.Error:
        return False


def has_lock(project: Clone) -> bool:
    return (project.path / "dvc.lock").exists()


def runs_of(ran: Path) -> Counter[str]:
    """How often each stage began."""
    return Counter(path.name.rpartition("-")[0] for path in ran.iterdir())
