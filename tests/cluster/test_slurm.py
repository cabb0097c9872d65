"""`dvc-wandb repro --on slurm` with a real SLURM of two nodes: the bytes of a serial run, whatever dies meanwhile."""

from __future__ import annotations

import getpass
import re
import shutil
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster import slurm
from tests.cluster.slurm import Slurm
from tests.conftest import Clone, eventually
from tests.dvc_wandb import kinds
from tests.dvc_wandb.conftest import project_in
from tests.dvc_wandb.kinds import asleep, at_work, copy, differences
from tests.dvc_wandb.mirroring.test_parallel import STAGE, TRACKED
from tests.working_tree import ROOT
from wandb_registry import daemon

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(slurm.missing()), reason=f"SLURM isn't installed: {', '.join(slurm.missing())} not found"),
]
ON_SLURM = ("dvc-wandb", "repro", "--on", "slurm")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    started = Slurm(tmp_path_factory.mktemp("slurm"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, cluster: Slurm) -> Clone:
    """Every kind of stage, none of which has run. Tests copy it."""
    project = kinds.make(tmp_path_factory.mktemp("kinds") / "fresh")
    project.env.update(cluster.env, PATH=f"{project.env['PATH']}:{slurm.SEARCH}")
    return project


@pytest.fixture(scope="module")
def serial(fresh: Clone) -> Clone:
    """The same after `dvc repro`."""
    return kinds.ran_serially(fresh)


def test_every_kind_of_stage_gives_the_bytes_of_a_serial_run(fresh: Clone, serial: Clone, tmp_path: Path):
    project = copy(fresh, tmp_path / "parallel")
    said = project.run(*ON_SLURM, "--all-pipelines").text
    assert re.search(r"^25 stages in [\d.]+ s: 24 ran, 1 unchanged$", said, re.M), said
    assert re.search(r"^part@3 +\| > mkdir -p parts", said, re.M)
    jobs = re.findall(r"\| SLURM job (\d+)$", said, re.M)
    assert len(jobs) == len(set(jobs)) == 23  # not one for what needs no command: added.txt and the frozen stage
    assert differences(serial, project) == []
    again = project.run(*ON_SLURM, "--all-pipelines").text
    assert sorted(re.findall(r"^(\S+) +\| SLURM job \d+$", again, re.M)) == ["always", "say"]
    assert not list(project.path.glob(".dvc/tmp/dvc-wandb-jobs/*"))


SLOW = """
stages:
  first:
    cmd: touch begun-$SLURM_JOB_ID && until test -e go -o -e go-first; do sleep 0.1; done && echo first > first.txt
    outs: [first.txt]
    meta: {resources: {cpus: 2}}
  grown:
    cmd: echo more >> grown.txt && touch begun-$SLURM_JOB_ID && until test -e go; do sleep 0.1; done
    outs:
      - grown.txt: {persist: true}
    meta: {resources: {cpus: 2}}
  next:
    cmd: cat first.txt grown.txt > next.txt
    deps: [first.txt, grown.txt]
    outs: [next.txt]
"""


@pytest.fixture
def slow(tmp_path: Path, cluster: Slurm) -> Iterator[Clone]:
    """A project two stages of which take a node each, and end once there is a file `go`."""
    project = project_in(tmp_path / "slow")
    project.env.update(cluster.env, PATH=f"{project.env['PATH']}:{slurm.SEARCH}", WANDB_MODE="disabled")
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(SLOW)
    yield project
    cluster.run("scancel", "--user", getpass.getuser())
    cluster.wait_until_idle()
    cluster.mend()
    assert eventually(lambda: set(cluster.node_states()) == {"idle"})


def start(project: Clone, *options: str, stages: int = 2) -> subprocess.Popen[str]:
    """The command, with so many stages at work."""
    launcher = subprocess.Popen(
        [*ON_SLURM, *options],
        cwd=project.path,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert eventually(lambda: len(begun(project)) == stages), launcher.communicate()
    return launcher


def begun(project: Clone) -> list[str]:
    return [path.name for path in project.path.glob("begun-*")]


def whole(project: Clone) -> None:
    """What a serial run leaves, and nothing that ran twice."""
    assert project.read("next.txt") == "first\nmore\n"
    assert project.read("grown.txt") == "more\n"
    assert "up to date" in project.run("dvc", "status").text
    assert "didn't change" in project.run("dvc", "repro").text
    assert list(re.findall(r"^  (\w+):$", project.read("dvc.lock"), re.M)) == ["first", "grown", "next"]


def test_the_next_call_follows_what_a_killed_head_left_at_work(slow: Clone, cluster: Slurm):
    """One stage ends while no head is there, one after the next has come."""
    head = start(slow)
    head.kill()
    head.communicate()
    refused = slow.run("dvc-wandb", "repro", ok=False).text
    assert re.search(r"SLURM still runs .*dvc\.yaml:grown \(job \d+\)", refused), refused
    (slow.path / "go-first").touch()
    assert eventually(lambda: (slow.path / "dvc.lock").exists())
    head = start(slow)
    assert head.stdout
    assert any("grown | > echo more" in line for line in head.stdout)  # up to there
    (slow.path / "go").touch()
    said, _ = head.communicate(timeout=120)
    assert re.search(r"3 stages in .*: 2 ran, 1 unchanged", said), said
    assert len(begun(slow)) == 2
    whole(slow)


def test_a_head_that_slept_takes_what_was_done_meanwhile(slow: Clone, cluster: Slurm):
    """Somebody else who calls while it sleeps is told whose it is."""
    head = start(slow)
    with asleep(head):
        (slow.path / "go").touch()
        assert eventually(lambda: len(cluster.jobs()) == 0)
        refused = slow.run(*ON_SLURM, ok=False).text
        assert f"another `dvc-wandb repro` (process {head.pid} on " in refused
    said, _ = head.communicate(timeout=120)
    assert re.search(r"3 stages in .*: 3 ran", said), said
    assert len(begun(slow)) == 2
    whole(slow)


@pytest.mark.parametrize("can_be_asked", [True, False])
def test_jobs_that_an_earlier_call_left_hold_nothing_up_after_what_is_said(
    slow: Clone, cluster: Slurm, tmp_path: Path, can_be_asked: bool
):
    head = start(slow)
    head.kill()
    head.communicate()
    here = {} if can_be_asked else {"SLURM_CONF": str(tmp_path / "none")}
    refused = slow.run("dvc-wandb", "repro", ok=False, env=here).text
    if can_be_asked:
        slow.run("sh", "-c", *re.findall(r"`(scancel .+?)` ends", refused))
    else:
        assert re.search(
            r"SLURM may still run dvc\.yaml:\w+, dvc\.yaml:\w+ for an earlier .* can't be asked: ", refused
        )
        cluster.run("scancel", "--user", getpass.getuser())
    cluster.wait_until_idle()
    assert eventually(lambda: not at_work(slow)), at_work(slow)
    if not can_be_asked:
        (folder,) = re.findall(r"works any more, remove (\S+)\.\n", refused)
        shutil.rmtree(folder)
    (slow.path / "go").touch()
    assert "3 ran" in slow.run("dvc-wandb", "repro", env=here).text
    whole(slow)


def test_ctrl_c_ends_the_jobs_and_keeps_what_was_done(slow: Clone, cluster: Slurm):
    head = start(slow)
    head.send_signal(signal.SIGINT)
    said, _ = head.communicate(timeout=120)
    assert head.returncode == 130, said
    assert said.endswith("dvc-wandb: interrupted; run it again to go on where it stopped.\n")
    cluster.wait_until_idle()
    assert eventually(lambda: not at_work(slow)), at_work(slow)
    assert not (slow.path / "grown.txt").exists()
    assert not (slow.path / "dvc.lock").exists()
    (slow.path / "go").touch()
    assert "3 ran" in slow.run(*ON_SLURM).text
    whole(slow)


def test_a_job_that_was_cancelled_fails_by_name(slow: Clone, cluster: Slurm):
    head = start(slow, "--keep-going")
    cluster.run("scancel", cluster.jobs()["grown"])
    assert eventually(lambda: "grown" not in cluster.jobs("PENDING,RUNNING,COMPLETING"))
    (slow.path / "go").touch()
    said, _ = head.communicate(timeout=120)
    assert head.returncode == 1
    assert re.search(r"^grown +\| SLURM job \d+ on n\d: CANCELLED: somebody cancelled it$", said, re.M), said
    assert re.search(r"^grown: CANCELLED after ", said, re.M)
    assert "1 ran, 1 failed, 1 not run" in said
    assert eventually(lambda: not at_work(slow))
    assert "grown" not in slow.read("dvc.lock")
    assert not (slow.path / "grown.txt").exists()
    assert "2 ran, 1 unchanged" in slow.run(*ON_SLURM).text
    whole(slow)


def test_a_stage_is_tried_again_whose_process_or_node_dies(slow: Clone, cluster: Slurm):
    """The job's own process, or DVC's below it. A lost node's own stage ends too, when it sees that it was given up."""
    head = start(slow, "--retries", "2")
    jobs = cluster.jobs()
    at_work_of(slow, jobs["first"])[0].kill()
    assert eventually(lambda: len(begun(slow)) == 3)
    at_work_of(slow, cluster.jobs()["first"])[-1].kill()
    assert eventually(lambda: len(begun(slow)) == 4)
    victim = cluster.node_of(jobs["grown"])
    cluster.kill(victim)
    (slow.path / "go-first").touch()  # on the other node
    assert eventually(lambda: len(begun(slow)) == 5)
    (slow.path / "go").touch()
    said, _ = head.communicate(timeout=120)
    assert head.returncode == 0, said
    assert re.search(r"^first +\| SLURM job \d+ on n\d: FAILED: its process was killed, or ", said, re.M), said
    assert re.search(r"^first +\| SLURM job \d+: its process was killed, or ", said, re.M), said
    assert re.search(rf"^grown +\| SLURM job \d+ on {victim}: NODE_FAIL: its node died$", said, re.M), said
    assert eventually(lambda: not at_work(slow)), at_work(slow)
    whole(slow)


def at_work_of(project: Clone, job: str) -> list[psutil.Process]:
    """The processes of a job on its node, from its own to that of DVC, and not what these started."""
    found = []
    for process in psutil.process_iter():
        try:
            is_node = "dvc_wandb.parallel.cluster.node" in process.cmdline()
            if is_node and process.environ().get("SLURM_JOB_ID") == job and process.cwd() == str(project.path):
                found.append(process)
        except psutil.Error:
            continue
    assert len(found) >= 3  # its guard is between them; DVC may be forking another
    return sorted(found, key=psutil.Process.create_time)[:3]


def test_resources_reach_sbatch_and_a_wrong_one_is_refused_before_anything_runs(slow: Clone, cluster: Slurm):
    (slow.path / "params.yaml").write_text("resources: {minutes: 7, memory: 100M, comment: by default}\n")
    stage = (
        "  say:\n    cmd: scontrol show job $SLURM_JOB_ID > said.txt\n    outs: [said.txt]\n    meta: {resources: %s}\n"
    )
    (slow.path / "dvc.yaml").write_text("stages:\n" + stage % "{cpus: 2, partition: urgent, comment: mine}")
    slow.run(*ON_SLURM, env={"WANDB_API_KEY": "k" * 40})
    said = slow.read("said.txt")
    for part in (
        "TimeLimit=00:07:00",
        "CPUs/Task=2",
        "MinMemoryNode=100M",
        "Partition=urgent",
        "Comment=mine",
        "Requeue=0",
    ):
        assert part in said
    assert "k" * 40 not in said + cluster.log("ctld") + cluster.log("n1") + cluster.log("n2")
    (slow.path / "dvc.yaml").write_text("stages:\n" + stage % "{output: x}")
    refused = slow.run(*ON_SLURM, ok=False)
    assert refused.code == 1
    assert "dvc-wandb: stage 'say' asks for the resource 'output', which is no option of sbatch" in refused.text
    (slow.path / "dvc.yaml").write_text("stages:\n" + stage % "{partition: nowhere}")
    refused = slow.run(*ON_SLURM, "--force", ok=False)
    assert "ERROR: sbatch: Batch job submission failed: Invalid partition name specified" in refused.text
    assert "failed: say" in refused.text


def test_the_grid_of_the_page_runs_its_experiments_side_by_side(tmp_path: Path, cluster: Slurm):
    page = (ROOT / "docs/cluster.md").read_text()
    script, commands = re.findall(r"    \$ cat grid.sh\n((?:    [^$].*\n)+)((?:    \$ .*\n)+)", page)[0]
    project = project_in(tmp_path / "grid")
    project.env.update(cluster.env, PATH=f"{project.env['PATH']}:{slurm.SEARCH}", WANDB_MODE="disabled")
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    stage = "{cmd: cat params.yaml > made.txt, params: [model.dropout], outs: [made.txt]}"
    (project.path / "dvc.yaml").write_text(f"stages:\n  make: {stage}\n")
    (project.path / "params.yaml").write_text("model: {dropout: 0.7}\n")
    (project.path / "grid.sh").write_text(textwrap.dedent(script))
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "A stage")
    submit, show = re.findall(r"\$ (.*)", commands)
    project.run(*submit.split())
    cluster.wait_until_idle()
    shown = project.json(*show.split(), "--json")
    values = [
        one["revs"][0]["data"]["params"]["params.yaml"]["data"]["model"]["dropout"]
        for branch in shown
        for one in branch["experiments"] or ()
    ]
    assert sorted(values) == [0.1, 0.3, 0.5]


def test_each_stage_is_a_run_of_its_own(tmp_path: Path, cluster: Slurm):
    project = project_in(tmp_path / "tracked")
    project.env.update(cluster.env, PATH=f"{project.env['PATH']}:{slurm.SEARCH}")
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(TRACKED)
    (project.path / "stage.py").write_text(STAGE)
    try:
        said = project.run(*ON_SLURM).text
        runs = re.findall(r"\| (\S+): \d+ s, mirrored as http\S+/runs/(\S+)$", said, re.M)
        assert sorted(stage for stage, _ in runs) == ["all", "each@1", "each@2", "each@3"], said
        assert len({run for _, run in runs}) == 4
        assert "4 stages" in project.run("dvc-wandb", "verify").text
        assert not list(project.path.glob(".dvc/tmp/recorder-*.json"))
    finally:
        daemon.stop(project.path / ".registry")
