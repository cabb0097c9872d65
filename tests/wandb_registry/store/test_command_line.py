"""`wandb` on the command line, for a person who has only the registry's address and a key."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wandb_registry.conftest import IS_TEAM, Registry

Command = Callable[..., str]
RUN = """
import os, wandb
with wandb.init(project=os.environ["TEST_PROJECT"], id=os.environ["TEST_RUN"], config={"lr": 0.5}) as run:
    for value in range(4):
        run.log({"loss": value})
    print("said")
    artifact = wandb.Artifact("made", "model")
    with artifact.new_file("weights.txt") as file:
        file.write("weights")
    run.log_artifact(artifact)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Command:
    """Runs a program in an empty folder, as a person with this home and no settings in the environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "XDG"))}

    def run(*arguments: str, fails: bool = False, **environment: str) -> str:
        program = str(Path(sys.executable).parent / "wandb") if arguments[0] == "wandb" else arguments[0]
        done = subprocess.run(
            [program, *arguments[1:]],
            env=clean | {"HOME": str(home), "WANDB_ERROR_REPORTING": "false"} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def signed_in(registry: Registry, run: Command, home: Path) -> None:
    if not (home / ".netrc").exists():
        run("wandb", "login", "--host", registry.url, registry.key)


def test_login_keeps_the_key_for_later_commands(registry: Registry, run: Command, home: Path, signed_in: None):
    assert registry.key in (home / ".netrc").read_text()
    assert "Currently logged in as" in run("wandb", "login")


def test_login_with_a_wrong_key_says_so(registry: Registry, run: Command, tmp_path: Path):
    said = run("wandb", "login", "--host", registry.url, "--verify", "f" * 40, fails=True, HOME=str(tmp_path))
    assert "No account of this registry has this API key" in said


@pytest.mark.slow
def test_verify_finds_all_that_one_machine_can_have(run: Command, signed_in: None):
    """It warns that loopback has no https, which fails no check."""
    said = run("wandb", "verify")
    checks = {line.split("..")[0]: line[-1] for line in said.splitlines() if line.endswith(("✅", "❌"))}
    wrong = {name for name, mark in checks.items() if mark == "❌"}
    assert len(checks) >= 9
    without_https = {"Checking requests to base url", "Checking requests made over signed URLs"}
    assert wrong == (set() if IS_TEAM else without_https)


def test_artifacts_are_put_listed_and_got(run: Command, tmp_path: Path, signed_in: None):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "two.txt").write_text("two")
    (tmp_path / "one.txt").write_text("one")
    run("wandb", "artifact", "put", "-n", "line/folder", "-t", "dataset", "data")
    run("wandb", "artifact", "put", "-n", "line/single", "-t", "dataset", "-a", "chosen", "one.txt")
    listed = run("wandb", "artifact", "ls", "line")
    assert "folder:v0" in listed
    assert "single:v0" in listed
    run("wandb", "artifact", "get", "line/single:chosen", "--root", "out")
    assert (tmp_path / "out" / "one.txt").read_text() == "one"


def test_an_offline_run_that_is_synced_twice_makes_nothing_twice(
    registry: Registry, run: Command, tmp_path: Path, signed_in: None
):
    run(sys.executable, "-c", RUN, WANDB_MODE="offline", TEST_PROJECT="synced", TEST_RUN="once")
    folder = next((tmp_path / "wandb").glob("offline-run-*"))
    for _ in range(2):
        run("wandb", "sync", "--include-synced", str(folder))
    found = registry.api().run("synced/once")
    assert (found.state, found.config) == ("finished", {"lr": 0.5})
    assert [row["loss"] for row in found.scan_history()] == [0, 1, 2, 3]
    assert [line.content for line in found.console_logs()] == ["said"]
    assert [artifact.name for artifact in found.logged_artifacts()] == ["made:v0"]
    assert len(registry.api().artifacts("model", "synced/made")) == 1
    assert len(registry.api().runs("synced")) == 1


@pytest.mark.slow
def test_pull_and_restore_bring_back_files_config_and_code(run: Command, tmp_path: Path, signed_in: None):
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    (tmp_path / ".gitignore").write_text("wandb\n")
    (tmp_path / "train.py").write_text(RUN)
    run(*git, "init", "-q")
    run(*git, "add", ".")
    run(*git, "commit", "-q", "-m", "first")
    changed = RUN + "# not committed\n"
    (tmp_path / "train.py").write_text(changed)
    run(sys.executable, "train.py", TEST_PROJECT="restored", TEST_RUN="there", WANDB_SAVE_CODE="true")
    run(*git, "checkout", "-q", ".")

    assert "Restored config variables" in run("wandb", "restore", "restored:there")
    assert (tmp_path / "train.py").read_text() == changed
    assert "lr" in (tmp_path / "wandb" / "config.yaml").read_text()
    run("wandb", "pull", "-p", "restored", "-e", "local", "there")
    assert "said" in (tmp_path / "output.log").read_text()
