"""A record that can't be read: the command that is named restores it, whatever git has of the file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dvc_wandb import production
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import history
from dvc_wandb.production.record import UnreadableRecordError

RECORD = '{"registered_model": "best", "model_md5": "%s"}\n'
MARKS = "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> side\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "t@example.com")
    monkeypatch.chdir(tmp_path)
    shell("git init --quiet --initial-branch=main")
    return tmp_path


def shell(command: str, ok: bool = True) -> None:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert not ok or done.returncode == 0, done.stdout + done.stderr


def commit(text: str) -> None:
    Path("record.json").write_text(text)
    shell("git add record.json && git commit --quiet --message 'As it is'")


def never_committed() -> None:
    Path("record.json").write_text(MARKS)


def broken_in_the_workspace() -> None:
    commit(RECORD % "one")
    Path("record.json").write_bytes(b"\xff\xfe")


def broken_in_the_last_commit() -> None:
    commit(RECORD % "zero")
    commit(RECORD % "one")
    commit(MARKS)


def broken_in_all_commits() -> None:
    commit(MARKS)


def unmerged() -> None:
    commit(RECORD % "zero")
    shell("git checkout --quiet -b side")
    commit(RECORD % "one")
    shell("git checkout --quiet main")
    commit(RECORD % "mine")
    shell("git merge --quiet side", ok=False)
    assert "<<<<<<<" in Path("record.json").read_text()


def unmerged_and_broken_on_the_other_side() -> None:
    commit(RECORD % "zero")
    shell("git checkout --quiet -b side")
    commit("{}")
    shell("git checkout --quiet main")
    commit(RECORD % "one")
    shell("git merge --quiet side", ok=False)


@pytest.mark.parametrize(
    ("make", "restored"),
    [
        (never_committed, None),
        (broken_in_the_workspace, "one"),
        (broken_in_the_last_commit, "one"),
        (broken_in_all_commits, None),
        (unmerged, "one"),
        (unmerged_and_broken_on_the_other_side, "one"),
    ],
)
def test_what_the_message_says_restores_the_record(root: Path, make, restored: str | None):
    """It said `git checkout HEAD --` where HEAD was as broken, and where git had two sides to choose from."""
    make()
    with pytest.raises(UnreadableRecordError) as raised:
        production.read(root / "record.json")
    assert f"`{raised.value.command}` restores it." in str(raised.value)
    shell(raised.value.command)
    assert Path("record.json").exists() == (restored is not None)
    if restored:
        assert production.read(root / "record.json").model_md5 == restored


def test_the_commit_and_the_workspace_are_restored_by_the_same_command(root: Path):
    broken_in_the_last_commit()
    with pytest.raises(UnreadableRecordError) as in_workspace:
        production.read(root / "record.json")
    with pytest.raises(DvcWandbError) as in_commit:
        history.committed(root, "record.json")
    assert in_workspace.value.command == getattr(in_commit.value, "command", "")
