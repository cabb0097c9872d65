"""Stages on machines that share no folder with the head, on real Dask and real SLURM: the bytes of a serial run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.conftest import Engine, ready, wait_for
from tests.cluster.dask import Dask
from tests.cluster.slurm import Slurm
from tests.conftest import Clone, eventually
from tests.dvc_wandb import kinds
from tests.dvc_wandb.conftest import project_in
from tests.dvc_wandb.kinds import asleep, copy, differences
from tests.dvc_wandb.mirroring.test_parallel import STAGE, TRACKED
from tests.engines.object_storage import bucket
from tests.working_tree import take_interrupts
from wandb_registry import daemon

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def fresh(heads: Path, engine: Engine, storage: str) -> Clone:
    """Every kind of stage, none of which has run. Tests copy it."""
    return ready(kinds.make(heads / f"kinds-{engine.name}" / "fresh"), engine, storage)


@pytest.fixture(scope="module")
def serial(fresh: Clone) -> Clone:
    """The same after `dvc repro`."""
    return kinds.ran_serially(fresh)


def test_every_kind_of_stage_gives_the_bytes_of_a_serial_run(fresh: Clone, serial: Clone, engine: Engine, storage: str):
    """Then with a parameter changed, and with a source changed: what persists goes on from what it was."""
    project = copy(fresh, fresh.path.with_name("away"))
    said = project.run("dvc-wandb", "repro", *engine.options, "--all-pipelines").text
    assert re.search(r"^25 stages in [\d.]+ s: 24 ran, 1 unchanged$", said, re.M), said
    assert re.search(r"^part@3 +\| > mkdir -p parts", said, re.M)
    assert len(elsewhere(engine, said)) == 23  # not one for what needs no command: added.txt and the frozen stage
    assert differences(serial, project) == []
    assert re.findall(r"^Running stage '(.+)'", project.run("dvc", "repro", "-P").text, re.M) == ["say", "always"]
    left = bucket(storage).list_objects_v2(Bucket="team", Prefix=f"{engine.name}/{fresh.path.parent.name}/dvc-wandb/")
    assert "Contents" not in left  # the folders of jobs are gone

    for name, text in (("params.yaml", "scale: 2\n"), ("src.txt", "again\n")):
        (project.path / name).write_text(text)
        other = copy(project, project.path.with_name(f"serial-{name}"))
        ran = re.findall(r"^Running stage '(.+)'", other.run("dvc", "repro", "--all-pipelines").text, re.M)
        said = project.run("dvc-wandb", "repro", *engine.options, "--all-pipelines").text
        assert differences(other, project) == []
        assert sorted(elsewhere(engine, said)) == sorted(ran)  # a stage that had run before ran here


def elsewhere(engine: Engine, said: str) -> list[str]:
    """The stages that were given to the engine."""
    return re.findall(rf"^(\S+) +\| {engine.name} job \S+$", said, re.M)


SLOW = """
stages:
  first:
    cmd:
      - touch $GO/first-$$ && until test -e $GO/go -o -e $GO/go-first; do sleep 0.1; done
      - cat kept/in.txt > first.txt
    deps: [kept/in.txt]
    outs: [first.txt]
    meta: {resources: {cpus: 2}}
  grown:
    cmd: echo more >> grown.txt && touch $GO/grown-$$ && until test -e $GO/go; do sleep 0.1; done
    outs:
      - grown.txt: {persist: true}
    meta: {resources: {cpus: 2}}
  next:
    cmd: cat first.txt grown.txt > next.txt
    deps: [first.txt, grown.txt]
    outs: [next.txt]
"""


@pytest.fixture
def slow(heads: Path, tmp_path: Path, engine: Engine, storage: str) -> Iterator[Clone]:
    """A project two stages of which take a machine each, and end once there is a file `go` in the test's folder.

    One reads a file that git ignores.
    """
    project = project_in(heads / tmp_path.name / "slow")
    project.env["WANDB_MODE"] = "disabled"
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (project.path / "kept").mkdir()
    (project.path / "kept/in.txt").write_text("first\n")
    (project.path / "kept/.gitignore").write_text("*.txt\n")
    (project.path / "dvc.yaml").write_text(SLOW.replace("$GO", str(tmp_path)))
    ready(project, engine, storage)
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Slow stages")
    yield project
    (tmp_path / "go").touch()
    assert eventually(lambda: not at_work(tmp_path)), at_work(tmp_path)
    mend(engine)


def mend(engine: Engine) -> None:
    """Start again what a test has killed."""
    if isinstance(engine, Slurm):
        engine.wait_until_idle()
    engine.mend()
    if isinstance(engine, Slurm):
        assert eventually(lambda: set(engine.node_states()) == {"idle"})


def start(project: Clone, engine: Engine, folder: Path, *options: str) -> subprocess.Popen[str]:
    """The command, with two stages at work."""
    head = subprocess.Popen(
        ["dvc-wandb", "repro", *engine.options, *options],
        cwd=project.path,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=take_interrupts,
    )
    assert eventually(lambda: len(begun(folder)) == 2), head.communicate()
    return head


def begun(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*-*") if not path.name.startswith("go"))


def at_work(folder: Path) -> list[int]:
    """The processes of the stages that wait for the file `go` of the folder."""
    return [process.pid for process in psutil.process_iter() if f"{folder}/go" in " ".join(command(process))]


def machine_of_grown(engine: Engine, folder: Path) -> str:
    if isinstance(engine, Slurm):
        return engine.node_of(engine.jobs()["grown"])
    # A second one, if it is forking a `sleep`
    shell, *_ = [pid for pid in at_work(folder) if "grown.txt" in " ".join(command(psutil.Process(pid)))]
    above = {process.pid for process in psutil.Process(shell).parents()}
    return next(name for name, process in engine.processes.items() if process.pid in above)


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def whole(project: Clone) -> None:
    """What a serial run leaves."""
    assert project.read("next.txt") == "first\nmore\n"
    assert project.read("grown.txt") == "more\n"
    assert "up to date" in project.run("dvc", "status").text
    assert "didn't change" in project.run("dvc", "repro").text
    assert list(re.findall(r"^  (\w+):$", project.read("dvc.lock"), re.M)) == ["first", "grown", "next"]


def test_the_next_call_takes_what_a_killed_head_left(slow: Clone, engine: Engine, tmp_path: Path):
    """One stage ends while no head is there, one after the next has come; neither runs twice."""
    head = start(slow, engine, tmp_path)
    head.kill()
    head.communicate()
    (tmp_path / "go-first").touch()
    assert eventually(lambda: len(at_work(tmp_path)) == 1)
    head = start(slow, engine, tmp_path)
    assert head.stdout
    assert any("grown | > echo more" in line for line in head.stdout)  # up to there
    (tmp_path / "go").touch()
    said, _ = head.communicate(timeout=120)
    assert re.search(r"3 stages in .*: 3 ran", said), said
    assert len(begun(tmp_path)) == 2
    whole(slow)


def test_a_head_that_slept_takes_what_was_done_meanwhile(slow: Clone, engine: Engine, tmp_path: Path):
    head = start(slow, engine, tmp_path)
    with asleep(head):
        (tmp_path / "go").touch()
        assert eventually(lambda: not at_work(tmp_path))
        refused = slow.run("dvc-wandb", "repro", *engine.options, ok=False).text
        assert f"another `dvc-wandb repro` (process {head.pid} on " in refused
    said, _ = head.communicate(timeout=120)
    assert re.search(r"3 stages in .*: 3 ran", said), said
    assert len(begun(tmp_path)) == 2
    whole(slow)


def test_what_was_done_for_another_input_is_not_taken(slow: Clone, engine: Engine, tmp_path: Path):
    """It was changed while no head was there."""
    head = start(slow, engine, tmp_path)
    head.kill()
    head.communicate()
    (tmp_path / "go").touch()
    assert eventually(lambda: not at_work(tmp_path))
    (slow.path / "kept/in.txt").write_text("other\n")
    assert "3 ran" in slow.run("dvc-wandb", "repro", *engine.options).text
    assert slow.read("next.txt") == "other\nmore\n"
    assert [name.partition("-")[0] for name in begun(tmp_path)] == ["first", "first", "grown"]


def test_ctrl_c_ends_the_stages_and_the_next_call_goes_on(slow: Clone, engine: Engine, tmp_path: Path):
    head = start(slow, engine, tmp_path)
    head.send_signal(signal.SIGINT)
    said, _ = head.communicate(timeout=120)
    assert head.returncode == 130, said
    assert said.endswith("dvc-wandb: interrupted; run it again to go on where it stopped.\n")
    assert eventually(lambda: not at_work(tmp_path)), at_work(tmp_path)
    assert not (slow.path / "dvc.lock").exists()
    (tmp_path / "go").touch()
    assert "3 ran" in slow.run("dvc-wandb", "repro", *engine.options).text
    whole(slow)


def test_a_stage_runs_elsewhere_whose_machine_dies_and_its_orphan_ends(slow: Clone, engine: Engine, tmp_path: Path):
    head = start(slow, engine, tmp_path, "--retries", "1")
    engine.kill(machine_of_grown(engine, tmp_path))
    (tmp_path / "go-first").touch()  # on the other machine
    assert eventually(lambda: len(begun(tmp_path)) == 3), begun(tmp_path)
    assert eventually(lambda: len(at_work(tmp_path)) == 1)
    (tmp_path / "go").touch()
    said, _ = head.communicate(timeout=120)
    assert head.returncode == 0, said
    whole(slow)


def test_a_head_asks_again_when_the_controller_is_back(slow: Clone, engine: Engine, tmp_path: Path):
    """Dask's client looks for its scheduler no longer than 20 s. Dask's workers end with it, SLURM's jobs go on."""
    head = start(slow, engine, tmp_path)
    assert head.stdout
    engine.kill(engine.controller)
    assert any("; the jobs go on, and we ask again" in line for line in head.stdout)  # up to there
    if isinstance(engine, Dask):
        time.sleep(25)
    engine.mend()
    (tmp_path / "go").touch()
    wait_for(head, engine)
    said, _ = head.communicate(timeout=10)
    assert head.returncode == 0, said
    whole(slow)


def test_a_stage_that_fails_says_why(slow: Clone, engine: Engine, tmp_path: Path):
    (tmp_path / "go").touch()
    (slow.path / "dvc.yaml").write_text(slow.read("dvc.yaml").replace("cat first.txt grown.txt", "cat nothing.txt"))
    failed = slow.run("dvc-wandb", "repro", *engine.options, ok=False)
    assert failed.code == 1
    assert re.search(r"^next +\| cat: nothing.txt: No such file", failed.text, re.M), failed.text
    assert re.search(r"^next +\| ERROR: failed to reproduce 'next': failed to run: cat nothing.txt", failed.text, re.M)
    assert "2 ran, 1 failed" in failed.text
    assert "next" not in slow.read("dvc.lock")


def test_each_stage_is_a_run_of_its_own_wherever_it_works(heads: Path, engine: Engine, storage: str):
    """The commit of the runs is the head's."""
    project = project_in(heads / f"tracked-{engine.name}" / "tracked")
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(TRACKED)
    (project.path / "stage.py").write_text(STAGE)
    ready(project, engine, storage)
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Tracked stages")
    try:
        said = project.run("dvc-wandb", "repro", *engine.options).text
        runs = re.findall(r"\| (\S+): \d+ s, mirrored as http\S+/tracked/runs/(\S+)$", said, re.M)
        assert sorted(stage for stage, _ in runs) == ["all", "each@1", "each@2", "each@3"], said
        assert len({run for _, run in runs}) == 4
        assert "4 stages" in project.run("dvc-wandb", "verify").text
        assert "mirroring" not in project.run("dvc-wandb", "mirror").text
    finally:
        daemon.stop(project.path / ".registry")


def test_what_keeps_stages_from_other_machines_is_said_at_once(slow: Clone, engine: Engine):
    (slow.path / "dvc.yaml").write_text("stages:\n  say: {cmd: echo said}\n")
    slow.run("dvc", "remote", "remove", "store")
    refused = slow.run("dvc-wandb", "repro", *engine.options, ok=False)
    assert refused.code == 1
    assert "this project has no default one. Run `dvc remote add --default NAME URL`." in refused.text
    slow.run("dvc", "remote", "add", "--default", "folder", "../store")
    os.rename(slow.path / ".git/HEAD", slow.path / "HEAD")
    (slow.path / ".git/HEAD").write_text("ref: refs/heads/empty\n")
    refused = slow.run("dvc-wandb", "repro", *engine.options, ok=False)
    assert refused.code == 1
    assert "stages go to other machines by a commit, and this project has none. Run `git commit`." in refused.text
