"""`dvc-wandb repro`: several stages at a time, and all that is written is as from `dvc repro`, to the byte."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from dvc_wandb.parallel.serial_order import lock_entries
from tests.conftest import Clone, eventually
from tests.dvc_wandb import kinds
from tests.dvc_wandb.conftest import project_in
from tests.dvc_wandb.kinds import at_work, copy, differences
from tests.working_tree import take_interrupts
from wandb_registry import daemon

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Every kind of stage, none of which has run. Tests copy it."""
    return kinds.make(tmp_path_factory.mktemp("kinds") / "fresh")


@pytest.fixture(scope="module")
def serial(fresh: Clone) -> Clone:
    """The same after `dvc repro`."""
    return kinds.ran_serially(fresh)


def test_every_kind_of_stage_gives_the_bytes_of_a_serial_run(fresh: Clone, serial: Clone, tmp_path: Path):
    """New entries of dvc.lock and lines of .gitignore stood in the order in which stages ended."""
    project = copy(fresh, tmp_path / "parallel")
    said = project.run("dvc-wandb", "repro", "--all-pipelines", "--jobs", "4").text
    assert re.search(r"^25 stages in [\d.]+ s: 24 ran, 1 unchanged$", said, re.M)
    assert re.search(r"^part@3 +\| > mkdir -p parts", said, re.M)
    assert re.search(r"^say +\| said$", said, re.M)
    assert differences(serial, project) == []
    again = project.run("dvc", "repro", "--all-pipelines").text
    assert re.findall(r"^Running stage '(.+)'", again, re.M) == ["say", "always"]

    (project.path / "params.yaml").write_text("scale: 2\n")
    both = copy(project, tmp_path / "both")
    both.run("dvc", "repro", "part@2", "part@3")
    quiet = project.run("dvc-wandb", "repro", "--quiet", "part@2", "part@3").text
    assert differences(both, project) == []
    blocks = re.findall(r"^Running stage '(.+)'", quiet, re.M)
    assert blocks == ["part@2", "part@3"]


WAITING = """
stages:
  first:
    cmd: touch begun && until test -e go; do sleep 0.05; done && echo first > first.txt
    outs: [first.txt]
  grown:
    cmd: echo more >> grown.txt && until test -e go; do sleep 0.05; done
    outs:
      - grown.txt: {persist: true}
  next:
    cmd: cp first.txt next.txt
    deps: [first.txt]
    outs: [next.txt]
  broken:
    cmd: echo oh && test -e mended && touch broken.txt
    deps: [first.txt]
    outs: [broken.txt]
  last:
    cmd: cp broken.txt last.txt
    deps: [broken.txt]
    outs: [last.txt]
"""


@pytest.fixture
def waiting(tmp_path: Path) -> Clone:
    """A project two stages of which end once there is a file `go`, and one of which fails without a file `mended`."""
    project = project_in(tmp_path / "waiting")
    project.env["WANDB_MODE"] = "disabled"
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(WAITING)
    return project


def start(project: Clone) -> subprocess.Popen[str]:
    """The command, whose first two stages have begun."""
    launcher = subprocess.Popen(
        ["dvc-wandb", "repro", "--jobs", "2", "--keep-going"],
        cwd=project.path,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=take_interrupts,
    )
    assert eventually(lambda: {"begun", "grown.txt"} <= set(os.listdir(project.path))), launcher.communicate()
    return launcher


def test_a_stage_that_fails_ends_the_run_or_what_needs_it(waiting: Clone):
    (waiting.path / "go").touch()
    late = "  late: {cmd: cp next.txt late.txt, deps: [next.txt], outs: [late.txt]}\n"
    (waiting.path / "dvc.yaml").write_text(WAITING + late)
    done = waiting.run("dvc-wandb", "repro", "--jobs", "1", ok=False)
    assert done.code == 1
    assert "broken | oh\n" in done.text
    assert "ERROR: failed to reproduce 'broken': failed to run: echo oh && test -e mended" in done.text
    assert re.search(r"^failed: broken\nnot run because of that: last, late$", done.text, re.M), done.text
    done = waiting.run("dvc-wandb", "repro", "--keep-going", ok=False)
    assert done.code == 1
    assert "1 ran, 3 unchanged, 1 failed, 1 not run\nfailed: broken\nnot run because of that: last\n" in done.text
    (waiting.path / "mended").touch()
    assert "2 ran, 4 unchanged" in waiting.run("dvc-wandb", "repro").text
    assert waiting.read("grown.txt") == "more\n"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_stages_end_with_their_launcher_and_the_next_call_goes_on(waiting: Clone, end: signal.Signals):
    """A killed stage's half-written output, to which the next run would have added, is as it was before."""
    launcher = start(waiting)
    refused = waiting.run("dvc-wandb", "repro", ok=False).text
    assert f"another `dvc-wandb repro` (process {launcher.pid} on " in refused
    launcher.send_signal(end)
    said, _ = launcher.communicate()
    assert launcher.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL)
    assert eventually(lambda: not at_work(waiting)), at_work(waiting)
    if end == signal.SIGINT:
        assert said.endswith("dvc-wandb: interrupted; run it again to go on where it stopped.\n")
        assert not (waiting.path / "grown.txt").exists()
    assert not (waiting.path / "dvc.lock").exists()
    (waiting.path / "go").touch()
    (waiting.path / "mended").touch()
    assert "5 ran" in waiting.run("dvc-wandb", "repro").text
    assert waiting.read("grown.txt") == "more\n"
    assert "up to date" in waiting.run("dvc", "status").text


@pytest.mark.parametrize("left", ["zombie", "another process", "nothing"])
def test_what_a_killed_dvc_left_of_its_lock_stops_nothing(waiting: Clone, left: str):
    """`dvc repro` said that an output is busy, or that JSON is corrupted, until somebody removed a file."""
    rwlock = waiting.path / ".dvc/tmp/rwlock"
    with subprocess.Popen(["true"]) as ended:
        pid = ended.pid if left == "zombie" else psutil.Process().pid
        held = {"write": {f"{waiting.path}/grown.txt": {"pid": pid, "cmd": "dvc repro grown"}}, "read": {}}
        rwlock.parent.mkdir(exist_ok=True)
        rwlock.write_text("" if left == "nothing" else json.dumps(held))
        if left == "another process":  # which began after that was written
            os.utime(rwlock, (0, 0))
        (waiting.path / "go").touch()
        assert waiting.run("dvc", "repro", "grown", ok=False).code != 0
        os.utime(rwlock, (0, 0)) if left == "another process" else None
        assert "1 ran" in waiting.run("dvc-wandb", "repro", "grown").text


def test_a_lock_that_was_cut_off_is_mended(waiting: Clone):
    """DVC writes it in place, so a machine that stops may leave half of it."""
    for name in ("go", "mended"):
        (waiting.path / name).touch()
    waiting.run("dvc-wandb", "repro")
    whole = waiting.read("dvc.lock")
    (waiting.path / "go").unlink()
    (waiting.path / "begun").unlink()
    with (waiting.path / "dvc.yaml").open("a") as stages:
        stages.write("  other:\n    cmd: touch begun && sleep 1000\n    outs: [begun]\n")
    launcher = subprocess.Popen(["dvc-wandb", "repro"], cwd=waiting.path, env=waiting.env, stdout=subprocess.DEVNULL)
    assert eventually((waiting.path / "begun").exists)
    launcher.kill()
    launcher.wait()
    assert eventually(lambda: not at_work(waiting))
    (waiting.path / "dvc.lock").write_text(whole[: len(whole) // 2])
    (waiting.path / "dvc.yaml").write_text(WAITING)
    assert "5 unchanged" in waiting.run("dvc-wandb", "repro").text
    assert waiting.read("dvc.lock") == whole


def test_a_first_lock_that_was_cut_off_is_mended(waiting: Clone):
    """DVC could not read the project, so nothing was planned, and nothing mended."""
    launcher = subprocess.Popen(["dvc-wandb", "repro"], cwd=waiting.path, env=waiting.env, stdout=subprocess.DEVNULL)
    assert eventually((waiting.path / "begun").exists)
    launcher.kill()
    launcher.wait()
    assert eventually(lambda: not at_work(waiting))
    (waiting.path / "dvc.lock").write_text("")
    for name in ("go", "mended"):
        (waiting.path / name).touch()
    assert waiting.run("dvc", "status", ok=False).code != 0
    waiting.run("dvc-wandb", "repro")
    assert "up to date" in waiting.run("dvc", "status").text


TRACKED = """
stages:
  each:
    foreach: [1, 2, 3]
    do:
      cmd: python stage.py each@${item} ${item}.txt
      deps: [stage.py]
      outs: ["${item}.txt"]
  all:
    cmd: python stage.py all all.txt
    deps: [stage.py, 1.txt, 2.txt, 3.txt]
    outs: [all.txt]
"""
STAGE = """
import sys
from dvc_wandb import tracked_run
with tracked_run(sys.argv[1]) as run:
    print("made by", sys.argv[1])
    run.out(sys.argv[2]).write_text(sys.argv[1])
"""


def test_each_stage_is_a_run_of_its_own_and_one_recorder_mirrors_all(tmp_path: Path):
    project = project_in(tmp_path / "tracked")
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(TRACKED)
    (project.path / "stage.py").write_text(STAGE)
    try:
        said = project.run("dvc-wandb", "repro", "--jobs", "3").text
        assert said.count("Look at it: http") == 1  # each recorder says it once
        runs = re.findall(r"^(\S+): \d+ s, mirrored as http\S+/runs/(\S+)$", said, re.M)
        assert sorted(stage for stage, _ in runs) == ["all", "each@1", "each@2", "each@3"]
        assert len({run for _, run in runs}) == 4
        assert "4 stages" in project.run("dvc-wandb", "verify").text
        assert "mirroring" not in project.run("dvc-wandb", "mirror").text
        assert eventually(lambda: not list(project.path.glob(".dvc/tmp/recorder-*")))
    finally:
        daemon.stop(project.path / ".registry")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_killed_the_next_call_ends_with_the_serial_bytes(
    fresh: Clone, serial: Clone, tmp_path: Path, seed: int
):
    chance = random.Random(seed)
    project = copy(fresh, tmp_path / "killed")
    launcher = subprocess.Popen(
        ["dvc-wandb", "repro", "--all-pipelines", "--jobs", "4"],
        cwd=project.path,
        env=project.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually((project.path / "dvc.lock").exists)
    time.sleep(chance.random() * 3)
    processes = [psutil.Process(launcher.pid), *psutil.Process(launcher.pid).children(recursive=True)]
    victim = processes[0] if chance.random() < 0.5 else chance.choice(processes)
    with contextlib.suppress(psutil.Error):
        victim.kill()
    launcher.wait()
    assert eventually(lambda: not at_work(project)), at_work(project)
    recorded = lock_entries(project.read("dvc.lock")) if (project.path / "dvc.lock").exists() else {}
    said = project.run("dvc-wandb", "repro", "--all-pipelines", "--jobs", "4").text
    again = set(re.findall(r"^(\S+) +\| Running stage", said, re.M)) & recorded.keys()
    assert again <= {"say", "always"}
    assert differences(serial, project) == []
