"""`dvc-wandb reproduce`: a commit run again on nothing; equal to the byte, or told how far apart."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from tests import wheels
from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in

pytestmark = pytest.mark.slow

REPRODUCE = ("dvc-wandb", "reproduce")
STAGES = """
stages:
  draw:
    cmd: python draw.py
    deps: [draw.py, given.txt, kept/a.txt]
    outs: [arrays, weights.h5, same.txt]
    metrics:
      - score.json: {cache: false}
  read:
    cmd: cat same.txt > copy.txt
    deps: [same.txt]
    outs: [copy.txt]
  alone:
    cmd: cat kept/a.txt > alone.txt
    deps: [kept/a.txt]
    outs: [alone.txt]
"""
DRAW = """
import json, os, pathlib
import h5py, numpy
shift = float(os.environ.get("SHIFT", "0"))
pathlib.Path("arrays").mkdir()
numpy.savez("arrays/a.npz", x=numpy.arange(6.0) + shift, y=numpy.zeros(2))
pathlib.Path("arrays/b.txt").write_text("b")
with h5py.File("weights.h5", "w", track_order=False) as file:
    file["dense/kernel"] = numpy.ones((2, 3), "float32") * (1 + 2 * shift)
pathlib.Path("same.txt").write_text(open("given.txt").read() + open("kept/a.txt").read())
json.dump({"loss": 0.5 - shift}, open("score.json", "w"))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A stage that gives other bytes where SHIFT is set; what it reads is added by hand, so that git lacks it."""
    project = project_in(tmp_path_factory.mktemp("reproduce") / "project")
    project.env["TMPDIR"] = str(project.path.parent)
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text(STAGES)
    (project.path / "draw.py").write_text(DRAW)
    (project.path / "given.txt").write_text("given\n")
    (project.path / "kept").mkdir()
    (project.path / "kept/a.txt").write_text("kept\n")
    project.run("dvc", "add", "--quiet", "given.txt", "kept")
    project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Two stages")
    return project


def left_behind(project: Clone) -> list[Path]:
    return list(project.path.parent.glob("reproduce-*"))


def test_a_commit_that_gives_the_same_bytes_is_told_stage_by_stage(project: Clone):
    """What the workspace has beside it is no part of the commit."""
    (project.path / "draw.py").write_text(DRAW + "\nopen('same.txt', 'a').write('x')\n")
    before = project.git("status", "--porcelain")
    try:
        shown = project.run(*REPRODUCE).text
        assert project.git("status", "--porcelain") == before
    finally:
        project.git("checkout", "--", "draw.py")
    assert "not part of it, since not committed: draw.py" in shown
    assert "draw\n  equal   arrays  " in shown
    assert "read\n  equal   copy.txt  " in shown
    assert "3 stages, 6 outputs: all equal to the byte." in shown
    assert left_behind(project) == []


def test_files_that_differ_are_told_with_their_distance(project: Clone):
    done = project.run(*REPRODUCE, env={"SHIFT": "0.25"}, ok=False)
    assert done.code == 1
    assert re.search(r"differs arrays .*\n +a.npz: max abs difference 0.25 in x, 1 of 2 differ\n", done.text)
    assert re.search(r"differs weights.h5 .*\n +weights.h5: max abs difference 0.5 in dense/kernel, 1 of 1", done.text)
    assert re.search(r"differs score.json .*\n +score.json: max abs difference 0.25 in loss, 1 of 1 differ", done.text)
    assert "equal   same.txt" in done.text
    assert "3 stages, 3 of 6 outputs equal" in done.text
    (kept,) = left_behind(project)
    assert (kept / "clone/weights.h5").exists()
    shutil.rmtree(kept)


def test_what_is_within_a_tolerance_is_told_apart_from_what_differs(project: Clone):
    """By file, and in the exit status: 3 where all is near enough, 1 where something is not."""
    done = project.run(*REPRODUCE, "--tolerance", "metrics=0.3,weights=0.6", env={"SHIFT": "0.25"}, ok=False)
    assert done.code == 3
    assert re.search(r"within  weights.h5 .*\n +weights.h5: max abs difference 0.5 in dense/kernel", done.text)
    assert re.search(r"within  score.json .*\n", done.text)
    assert "3 stages, 3 of 6 outputs equal, 3 within metrics=0.3,weights=0.6" in done.text
    for kept in left_behind(project):
        shutil.rmtree(kept)


def test_what_is_outside_of_a_tolerance_differs(project: Clone):
    done = project.run(*REPRODUCE, "--tolerance", "metrics=0.3,weights=0.4", env={"SHIFT": "0.25"}, ok=False)
    assert done.code == 1
    assert re.search(r"differs weights.h5 ", done.text)
    assert "3 of 6 outputs equal, 2 within metrics=0.3,weights=0.4" in done.text
    for kept in left_behind(project):
        shutil.rmtree(kept)


def test_a_stage_that_fails_in_the_clone_is_named_and_so_is_what_needs_it(project: Clone):
    done = project.run(*REPRODUCE, "--json", env={"SHIFT": "none"}, ok=False, stderr=None)
    assert done.code == 1
    told = json.loads(done.text)
    assert not told["equal"]
    assert {stage["stage"]: stage["why"] for stage in told["stages"]} == {
        "draw": "it did not run to its end",
        "read": "it did not run to its end",
        "alone": "",
    }
    (kept,) = left_behind(project)
    assert "could not convert string to float: 'none'" in (kept / "log").read_text()
    shutil.rmtree(kept)


def test_what_is_nowhere_is_named_and_all_that_does_not_need_it_runs(project: Clone):
    """One file that could not be had stopped all of it."""
    md5 = hashlib.md5(b"given\n").hexdigest()
    given, cached = project.path / "given.txt", project.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.rename(project.path.parent / "cached")
    given.rename(project.path.parent / "given")
    try:
        done = project.run(*REPRODUCE, ok=False)
    finally:
        (project.path.parent / "cached").rename(cached)
        (project.path.parent / "given").rename(given)
    assert done.code == 1
    assert "dvc-wandb: given.txt can't be had: neither the workspace nor DVC's cache holds given.txt" in done.text
    assert "alone\n  equal   alone.txt  " in done.text
    assert "draw: it did not run to its end" in done.text
    for kept in left_behind(project):
        shutil.rmtree(kept)


def test_the_packages_of_the_commits_lock_are_installed_for_it(tmp_path: Path):
    """The commit was made with another version than is installed; DVC stays the one that is here."""
    project = project_in(tmp_path / "packages")
    project.env["TMPDIR"] = str(tmp_path)
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    sha256 = wheels.make(project.path / "wheels")
    (project.path / "requirements.txt").write_text(wheels.lock("0.0.1", sha256))
    (project.path / "dvc.yaml").write_text("stages: {paint: {cmd: python paint.py, deps: [paint.py], outs: [out.txt]}}")
    (project.path / "paint.py").write_text(
        f"from importlib import metadata\nopen('out.txt', 'w').write(metadata.version('{wheels.NAME}'))\n"
    )
    wheel = project.path / f"wheels/{wheels.NAME}-0.0.1-py3-none-any.whl"
    project.run("dvc", "repro", "--quiet", env={"PYTHONPATH": str(wheel)})
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "An old package")
    told = project.json(*REPRODUCE, "--json")
    assert told["equal"]
    assert told["packages"][wheels.NAME]["there"] == "0.0.1"
    assert not project.json(*REPRODUCE, "--json", "--installed", ok=False)["equal"]
    (kept,) = tmp_path.glob("reproduce-*")
    assert (kept / "clone/out.txt").read_text() == told["packages"][wheels.NAME]["here"]


def test_without_a_commit_that_is_said(tmp_path: Path):
    project = project_in(tmp_path / "new")
    project.run("dvc", "init", "--quiet", "--no-scm")
    assert "a commit is what can be reproduced" in project.run(*REPRODUCE, ok=False).text


def test_a_commit_in_which_no_stage_ran_is_told_from_one_that_differs(tmp_path: Path):
    """It said that 0 of 0 outputs were equal."""
    project = project_in(tmp_path / "new")
    project.env["TMPDIR"] = str(tmp_path)
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text("stages: {one: {cmd: echo 1 > out.txt, outs: [out.txt]}}")
    for told in ("Nothing ran: the commit's dvc.lock has no stage. Run `dvc repro`, and commit dvc.lock.", "all equal"):
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", "One stage")
        assert told in project.run(*REPRODUCE, ok=told == "all equal").text
        project.run("dvc", "repro", "--quiet")
