"""The README's commands as a person types them, in the order of the text, after `git clone`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone, Done, account, clone_into, clone_with_home
from tests.working_tree import BIN, ROOT

# Each block of commands: lines that begin with a $, with what they print among them
BLOCKS = [
    [line.removeprefix("    $ ") for line in block.splitlines() if line.startswith("    $ ")]
    for block in re.findall(r"(?:^    .*\n)+", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    if "    $ " in block
]
ACTIVATE = "source .venv/bin/activate"
ELSEWHERE = "pip install /path/to/this/repository"  # tests/dvc_wandb/mirroring/test_packaging.py does that
WIDEST = ("dvc params diff", "dvc metrics diff", "dvc exp show")  # whose tables fit 120 columns


class Reader:
    """Somebody who goes through the README in a clone; each block is typed into a shell of its own."""

    def __init__(self, clone: Clone, remote: Path) -> None:
        self.clone, self._remote, self._active = clone, remote, False

    def type(self, block: list[str]) -> dict[str, Done]:
        """Run a block's commands; what each printed."""
        self._active |= any(command.startswith(ACTIVATE) for command in block)
        found, before = {}, [ACTIVATE] if self._active else []
        for command in block:
            if not command.startswith(ELSEWHERE):
                found[command] = self.clone.run("bash", "-c", " && ".join([*before, self._filled_in(command)]))
            if command.startswith("export "):
                before.append(self._filled_in(command))
        return found

    def _filled_in(self, command: str) -> str:
        """The command with what it leaves to the reader."""
        command = re.sub(r"\s+# .*", "", command).replace("s3://BUCKET/FOLDER", str(self._remote))
        if "WANDB_" in command:
            registry = account(self.clone)
            for address in ("http://127.0.0.1:8090", "https://wandb.example.com"):
                command = command.replace(address, registry["WANDB_BASE_URL"])
            command = command.replace("WANDB_API_KEY=…", f"WANDB_API_KEY={registry['WANDB_API_KEY']}")
        return command


def made_of(clone: Clone, remote: Path) -> Reader:
    """A reader whose clone has an origin to push to."""
    clone.run("git", "clone", "--quiet", "--bare", ".", f"{remote}.git")
    clone.git("remote", "add", "origin", f"{remote}.git")
    clone.git("fetch", "--quiet", "origin")
    clone.git("branch", "--quiet", "--set-upstream-to=origin/main")
    return Reader(clone, remote)


@pytest.fixture
def copied(pipeline: Clone, tmp_path: Path) -> Iterator[Reader]:
    """In a clone where the pipeline has run, with a .venv that stands for the environment of the tests."""
    clone = clone_with_home(tmp_path / "clone")
    # Without DVC's temporary files, where a recorder may be tidying up
    shutil.copytree(
        pipeline.path,
        clone.path,
        symlinks=True,
        ignore=lambda folder, _: {"tmp"} if Path(folder).name == ".dvc" else set(),
    )
    (clone.path / ".venv/bin").mkdir(parents=True)
    (clone.path / ".venv/bin/activate").write_text(f"export PATH={BIN}:$PATH\n")
    for made in ("packages.yaml", ".venv/installed"):
        (clone.path / made).touch()
    yield made_of(clone, tmp_path / "remote")
    clone.run("wandb-registry", "stop", ok=False)


def test_the_commands_up_to_the_first_of_dvcs_own(copied: Reader):
    said = {command: done for block in BLOCKS[:3] for command, done in copied.type(block).items()}
    assert "Look at it: http://127.0.0.1:" in said["make repro"].text
    assert "dvc.lock and the registry agree" in said["make verify"].text
    assert said["dvc repro"].ran == []
    assert any(command.startswith(ACTIVATE) for command in said)


def test_the_first_screen_says_what_it_is_how_to_run_it_and_what_one_sees():
    lines = (ROOT / "README.md").read_text().splitlines()[:60]
    assert lines.index("    $ make repro") < lines.index("    $ make verify")
    assert any(line.startswith("![") for line in lines)
    assert any(ACTIVATE in line for line in lines)


def test_a_stage_in_another_python_says_what_to_activate(tmp_path: Path):
    alone = [sys.executable, "-S", "-m", "stages.prepare"]  # without site-packages
    done = subprocess.run(alone, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "`source .venv/bin/activate`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.soak
def test_every_command_from_a_fresh_clone_with_the_real_installation(tmp_path: Path):
    clone = clone_with_home(tmp_path / "clone")
    clone.path.mkdir()
    clone = clone_into(clone.path)
    python = getattr(sys, "_base_executable", sys.executable)
    kept = {name: value for name, value in clone.env.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "UV_"))}
    clone.env = {**kept, "PATH": "/usr/bin:/bin", "PYTHON": python, "COLUMNS": "120"}
    reader = made_of(clone, tmp_path / "remote")
    try:
        said = {command: done for block in BLOCKS for command, done in reader.type(block).items()}
    finally:
        clone.run(".venv/bin/wandb-registry", "stop", ok=False)
    first = said[BLOCKS[0][0]].text
    assert len(first.splitlines()) <= 45
    assert "port.cc" not in first
    for command, done in said.items():
        if command.startswith(WIDEST):
            assert max(map(len, done.text.splitlines())) <= 120, done.text
    assert not re.findall(
        r"^\?\?.*(?:artifacts|wandb|dvc_plots)/", clone.git("status", "--porcelain"), flags=re.MULTILINE
    )
