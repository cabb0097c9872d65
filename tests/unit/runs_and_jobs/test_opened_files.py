"""Which files of a project a process was seen to read."""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path

import cryptography.hazmat.bindings.openssl.binding  # noqa: F401  # leaves an object among the modules that is none
import pytest

from dvc_wandb.recorder.opened_files import OpenedFiles

HELD = (
    "a.csv",
    "sub/b.csv",
    "folder/c.csv",
    "folder-too/d.csv",
    ".cache/e",
    "lib/site-packages/f.py",
    "g.csv",
    "old.csv",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that lay there before the stage began, and that we stand in."""
    for name in HELD:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
        os.utime(path, (1, 1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def watch(project: Path) -> OpenedFiles:
    return OpenedFiles(project, ["folder"], since=time.time() - 60)


def test_what_is_opened_to_be_read(project: Path):
    with watch(project) as opened:
        for name in HELD[:-2]:
            Path(name).read_text()
        os.close(os.open(project / "old.csv", os.O_RDONLY))
        os.close(os.open(str(project / "sub/../old.csv"), os.O_RDONLY))
        assert Path(__file__).read_text()  # outside
    Path("g.csv").read_text()  # afterwards
    assert opened.inputs() == ["a.csv", "folder-too/d.csv", "old.csv", "sub/b.csv"]


def test_what_a_stage_writes_is_not_its_input(project: Path):
    with watch(project) as opened:
        Path("new.csv").write_text("1")
        Path("new.csv").read_text()
        with Path("a.csv").open("a") as file:
            file.write("1")
        Path("a.csv").read_text()
        os.close(os.open("g.csv", os.O_WRONLY))
        os.utime("a.csv", (1, 1))
        (project / "gone.csv").write_text("1")
        (project / "gone.csv").unlink()
    assert opened.inputs() == []


def test_modules_count_however_they_were_loaded(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Python reads the bytecode beside an unchanged module, not the module."""
    monkeypatch.syspath_prepend(project / "sub")
    (project / "sub/loaded_before.py").write_text("x = 1")
    os.utime(project / "sub/loaded_before.py", (1, 1))
    importlib.import_module("loaded_before")
    try:
        with watch(project) as opened:
            pass
        assert opened.inputs() == ["sub/loaded_before.py"]
    finally:
        del sys.modules["loaded_before"]


def test_nothing_that_a_stage_opens_is_refused(project: Path):
    with watch(project) as opened:
        with open(os.open("a.csv", os.O_RDONLY)) as file:  # by its descriptor
            assert file.read() == "1"
        with open(b"sub/b.csv") as file:
            assert file.read() == "1"
        with pytest.raises(FileNotFoundError):
            Path("nowhere.csv").read_text()
    assert opened.inputs() == ["a.csv"]
