"""Whatever is killed at a random moment, the next call ends with the bytes of a serial run, and repeats nothing."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.cluster.conftest import Engine, ready
from tests.cluster.dask import Dask
from tests.conftest import Clone, eventually
from tests.dvc_wandb.conftest import project_in
from tests.dvc_wandb.kinds import copy, differences
from tests.dvc_wandb.mirroring.test_parallel import STAGE
from wandb_registry import daemon

pytestmark = [pytest.mark.cluster, pytest.mark.soak]
# Each stage is a W&B run, takes a second, and tells the test that it began
STAGES = """
stages:
  part:
    foreach: [1, 2, 3, 4]
    do:
      cmd:
        - touch $RAN/part-${item}-$$
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
    cmd: touch $RAN/join-$$ && sleep 1 && cat 1.txt 2.txt 3.txt 4.txt grown.txt > all.txt
    deps: [1.txt, 2.txt, 3.txt, 4.txt, grown.txt]
    outs:
      - all.txt: {cache: false}
"""


@pytest.mark.parametrize("seed", range(10))  # of each engine
def test_the_next_call_ends_with_the_serial_bytes(heads: Path, engine: Engine, storage: str, tmp_path: Path, seed: int):
    chance = random.Random(seed)
    ran = tmp_path / "ran"
    ran.mkdir()
    fresh = ready(made(heads / f"kills-{engine.name}-{seed}/fresh", ran), engine, storage)
    serial = copy(fresh, fresh.path.with_name("serial"))
    serial.run("dvc", "repro", env={"WANDB_MODE": "disabled"})
    for name in ran.iterdir():
        name.unlink()
    project = copy(fresh, fresh.path.with_name("killed"))
    try:
        head = subprocess.Popen(
            ["dvc-wandb", "repro", *engine.options],
            cwd=project.path,
            env=project.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert eventually(lambda: any(ran.iterdir()))
        time.sleep(chance.random() * 8)
        what = chance.choice(["stage", "machine", "head", "registry"])
        kill(what, engine, project, head, ran, chance)
        if what != "head":
            head.wait(timeout=300)
        else:
            head.wait()
        mend(engine)
        recorded = set(re.findall(r"^  ([\w@]+):$", project.read("dvc.lock"), re.M)) if has_lock(project) else set()
        began = runs_of(ran)
        project.run("dvc-wandb", "repro", *engine.options)
        again = {stage for stage in recorded if len(runs_of(ran)[stage]) > len(began[stage])}
        assert not again, (what, again)
        assert differences(serial, project) == [], what
        project.run("dvc-wandb", "mirror")
        assert "agree" in project.run("dvc-wandb", "verify").text
    finally:
        daemon.stop(project.path / ".registry")
        shutil.rmtree(fresh.path.parent, ignore_errors=True)


def made(path: Path, ran: Path) -> Clone:
    project = project_in(path)
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (path / "dvc.yaml").write_text(STAGES.replace("$RAN", str(ran)))
    (path / "stage.py").write_text(STAGE)
    (path / ".gitignore").write_text("/.registry\n/wandb\n")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Stages that take a second")
    return project


def kill(
    what: str, engine: Engine, project: Clone, head: subprocess.Popen[bytes], ran: Path, chance: random.Random
) -> None:
    """kill -9 of the head, of a worker or slurmd, of the registry, or of a process of a stage."""
    if what == "head":
        head.kill()
    elif what == "machine":
        engine.kill(chance.choice(["w1", "w2"] if isinstance(engine, Dask) else ["n1", "n2"]))
    else:
        of_stage = "dvc_wandb.parallel.cluster.node"
        marks = ("wandb_registry serve",) if what == "registry" else (of_stage, str(ran))
        victims = [process for process in psutil.process_iter() if belongs(process, project, engine, marks)]
        if victims:
            with contextlib.suppress(psutil.Error):
                chance.choice(victims).kill()


def belongs(process: psutil.Process, project: Clone, engine: Engine, marks: tuple[str, ...]) -> bool:
    """Whether it is a process of this test: it has the engine's folder or the project's in its environment."""
    try:
        if not any(mark in " ".join(process.cmdline()) for mark in marks):
            return False
        values = " ".join([*process.environ().values(), process.cwd()])
        return str(engine.folder) in values or str(project.path) in values
    except psutil.Error:
        return False


def mend(engine: Engine) -> None:
    for name in ("w1", "w2") if isinstance(engine, Dask) else ("n1", "n2"):
        if engine.processes[name].poll() is not None:
            engine.start_worker(name) if isinstance(engine, Dask) else engine.start_node(name)


def has_lock(project: Clone) -> bool:
    return (project.path / "dvc.lock").exists()


def runs_of(ran: Path) -> dict[str, list[str]]:
    """The times that each stage began, by its name."""
    found: dict[str, list[str]] = {name: [] for name in ("grown", "join", *(f"part@{at}" for at in range(1, 5)))}
    for path in ran.iterdir():
        stage = path.name.rpartition("-")[0]
        found[stage.replace("-", "@")].append(path.name)
    return found
