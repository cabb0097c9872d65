"""A mirror killed at random moments, again and again until one gets through: nothing doubled, nothing missing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dvc_wandb import temporary_folders
from tests.conftest import Clone, account, api_of
from tests.hanging import Hanging
from tests.working_tree import take_interrupts
from wandb_registry import daemon

pytestmark = pytest.mark.slow

MOST = 60  # mirrors that are started
DROPPED = """
import gc, signal, sys, threading
from dvc_wandb.cli import main

def interrupt(phase, info):
    if threading.current_thread() is threading.main_thread() and "dvc.repo" in sys.modules:
        gc.callbacks.clear()
        signal.raise_signal(signal.SIGINT)

gc.set_threshold(50)
gc.callbacks.append(interrupt)
sys.exit(main.main())
"""


def mirror_and_kill(project: Clone, env: dict[str, str], after: float) -> int | None:
    """Start a mirror and kill it with all its helpers after some seconds; its exit status if it was done before."""
    process = subprocess.Popen(
        ["dvc-wandb", "mirror"],
        cwd=project.path,
        env={**project.env, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


@pytest.mark.soak
def test_a_mirror_killed_at_random_goes_on_and_doubles_nothing(
    foreign_project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    env = {"REGISTRY_DIR": str(tmp_path / "registry")}
    daemon.ensure(tmp_path / "registry")
    chance = random.Random(7)
    started = time.monotonic()
    for number in range(1, MOST):
        status = mirror_and_kill(foreign_project, env, chance.uniform(1.0, 2.0) + number / 8)
        if status is not None:
            break
    assert status == 0, f"no mirror got through in {time.monotonic() - started:.0f} s"
    try:
        assert number > 3, "it was hardly interrupted"
        assert foreign_project.run("dvc-wandb", "verify", "--deep", env=env).code == 0

        at_one_go = {run.name for run in api_of(foreign_project, monkeypatch, tmp_path).runs("project")}
        api = api_of(foreign_project, monkeypatch, tmp_path, env["REGISTRY_DIR"])
        runs = [run.name for run in api.runs("project")]
        assert len(runs) == len(set(runs))
        assert set(runs) == at_one_go
        assert {run.state for run in api.runs("project")} == {"finished"}
        for kind in api.artifact_types("project"):
            for collection in kind.collections():
                assert len(list(collection.artifacts())) == 1, collection.name
        rows = [row for run in api.runs("project") if run.name == "score" for row in run.scan_history(["epoch/loss"])]
        assert [row["epoch/loss"] for row in rows] == [3.5, 2.5, 1.5]
    finally:
        daemon.stop(tmp_path / "registry")


def test_what_a_killed_command_left_is_gone_after_the_next(foreign_project: Clone, tmp_path: Path):
    """A folder in /tmp stayed for ever."""
    env = {**foreign_project.env, "TMPDIR": str(tmp_path)}
    command = ["dvc-wandb", "verify"]
    process = subprocess.Popen(command, cwd=foreign_project.path, env=env, stdout=subprocess.DEVNULL)
    ours = f"{temporary_folders.PREFIX}*"  # Python itself tries out the folder by a file of another name
    while not list(tmp_path.glob(ours)):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert list(tmp_path.glob(ours))
    foreign_project.run(*command, env=env)
    assert not list(tmp_path.glob(ours))


@pytest.mark.soak
@pytest.mark.parametrize(("answered", "how"), [(1, ()), (8, ("--lenient",)), (15, ()), (40, ("--lenient",))])
def test_a_mirror_to_a_registry_that_hangs_ends_in_a_sentence_and_the_next_goes_on(
    foreign_project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answered: int, how: tuple[str, ...]
):
    """It waited for two minutes and more, as long as the SDK asked again."""
    store = tmp_path / "registry"
    there = account(foreign_project, str(store))
    mirror = ("dvc-wandb", "mirror")
    between = Hanging(there["WANDB_BASE_URL"], answered)
    done = foreign_project.run(*mirror, *how, ok=False, env={**there, "WANDB_BASE_URL": between.url})
    assert between.silent_seconds() < 45
    assert (done.code, done.text.count("dvc-wandb: not mirrored: ")) == (0 if how else 1, 1)
    assert "doesn't answer within" in done.text
    try:
        foreign_project.run(*mirror, env=there)
        assert foreign_project.run("dvc-wandb", "verify", env=there).code == 0
        api = api_of(foreign_project, monkeypatch, tmp_path, str(store))
        assert {run.state for run in api.runs("project")} == {"finished"}
        collections = [one for kind in api.artifact_types("project") for one in kind.collections()]
        assert {len(list(one.artifacts())) for one in collections} == {1}
    finally:
        daemon.stop(store)


def interrupted(project: Clone, tmp_path: Path, *command: str, at: str = "") -> str:
    """What a command says that is interrupted once it says `at`, if it doesn't interrupt itself."""
    env = {**project.env, "REGISTRY_DIR": str(tmp_path / "registry")}
    process = subprocess.Popen(
        command,
        cwd=project.path,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_interrupts,
    )
    try:
        assert process.stderr is not None
        if at:
            while at not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 130, errors
        return errors
    finally:
        process.kill()
        daemon.stop(tmp_path / "registry")


def test_an_interrupt_while_the_command_is_imported_is_one_sentence(foreign_project: Clone, tmp_path: Path):
    """It was a traceback of whatever was imported, and the status -2."""
    command = ("python", "-X", "importtime", "-m", "dvc_wandb", "verify")  # says what it has imported
    lines = interrupted(foreign_project, tmp_path, *command, at="psutil._common").splitlines()
    assert [line for line in lines if not line.startswith("import time:")] == [
        "dvc-wandb: interrupted; run it again to go on where it stopped."
    ]


def test_a_mirror_that_somebody_interrupts_ends_at_once(foreign_project: Clone, tmp_path: Path):
    """It went on for ever, with the others waiting for its lock, once its work was done in a thread."""
    errors = interrupted(foreign_project, tmp_path, "dvc-wandb", "mirror", at="mirroring")
    assert errors.endswith("dvc-wandb: interrupted; run it again to go on where it stopped.\n")


@pytest.mark.parametrize("command", ["mirror", "verify"])
def test_an_interrupt_that_a_callback_drops_still_ends_the_command(
    foreign_project: Clone, tmp_path: Path, command: str
):
    """Python drops an interrupt that comes while it collects garbage, and the command went on to its end."""
    errors = interrupted(foreign_project, tmp_path, "python", "-c", DROPPED, command)
    assert "Exception ignored in" in errors
    assert errors.endswith("dvc-wandb: interrupted; run it again to go on where it stopped.\n")
