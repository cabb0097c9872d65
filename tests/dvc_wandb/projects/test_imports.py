"""Imports whose source is gone: all commands go on without them, and what is said to bring them back does."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

# By name: `dvc import`s of repositories, of which one is gone; `dvc import-url`s of files, of which two are gone.
REPOSITORIES, URLS = ("there", "gone"), ("moved", "pushed", "lost")
NOWHERE = ("gone", "moved", "lost")
STAGES = """
stages:
  from_there: {cmd: cat there > from_there.txt, deps: [there], outs: [from_there.txt]}
  from_gone: {cmd: cat gone there > from_gone.txt, deps: [gone, there], outs: [from_gone.txt]}
  from_moved: {cmd: cat moved > from_moved.txt, deps: [moved], outs: [from_moved.txt]}
  from_pushed: {cmd: cat pushed > from_pushed.txt, deps: [pushed], outs: [from_pushed.txt]}
  from_lost: {cmd: cat lost > from_lost.txt, deps: [lost], outs: [from_lost.txt]}
  judge:
    cmd: >-
      echo '{"score":1}' > score.json && md5=$(md5sum < from_there.txt | cut -c1-32) &&
      printf '{"registered_model":"model-registry/m","model_md5":"%s"}' $md5 > best.json
    deps: [from_there.txt]
    outs:
      - best.json: {cache: false, persist: true}
    metrics:
      - score.json: {cache: false}
    meta: {wandb: {promotes: best.json, links: {from_there.txt: model-registry/m}}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The project as whoever imported it all has it, with two commits; only `pushed` is in the remote."""
    folder = tmp_path_factory.mktemp("imports")
    project = project_in(folder / "project")
    for name in REPOSITORIES:
        source = Clone(folder / "sources" / name, project.env)
        source.path.mkdir(parents=True)
        source.git("init", "--quiet", "--initial-branch=main")
        source.run("dvc", "init", "--quiet")
        (source.path / "file").write_text(f"{name}\n")
        source.git("add", "--all")
        source.git("commit", "--quiet", "--message", "one")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    project.run("dvc", "remote", "add", "--default", "remote", "../remote")
    for name in REPOSITORIES:
        project.run("dvc", "import", "--quiet", f"../sources/{name}", "file", "--out", name)
    for name in URLS:
        (folder / "sources" / f"{name}.txt").write_text(f"{name}\n")
        project.run("dvc", "import-url", "--quiet", f"../sources/{name}.txt", name)
    (project.path / ".gitignore").write_text((project.path / ".gitignore").read_text() + "/.registry/\n/wandb/\n")
    (project.path / "dvc.yaml").write_text(STAGES)
    project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "one")
    return project


@pytest.fixture
def bereft(made: Clone, tmp_path: Path) -> Iterator[Clone]:
    """A copy of the project and what it came from, where three imports are nowhere; `owner` is as it was."""
    subprocess.run(["cp", "--archive", f"{made.path.parent}/.", tmp_path], check=True)
    project = Clone(tmp_path / "project", made.env)
    project.run("dvc", "push", "--quiet", "pushed")
    subprocess.run(["cp", "--archive", project.path, tmp_path / "owner"], check=True)
    shutil.rmtree(tmp_path / "sources/gone")
    for name in ("pushed", "lost"):
        (tmp_path / f"sources/{name}.txt").unlink()
    (tmp_path / "sources/moved.txt").write_text("moved on\n")
    for name in (*REPOSITORIES, *URLS):
        (project.path / name).unlink()
    for stored in (project.path / ".dvc/cache/files/md5").glob("*/*"):
        if stored.read_text().strip() in (*REPOSITORIES, *URLS):
            stored.unlink()
    yield project
    daemon.stop(project.path / ".registry")


def test_every_command_goes_on_without_the_imports_that_are_nowhere(bereft: Clone, tmp_path: Path):
    """One that was gone kept the others from being fetched, and `reproduce` from running anything."""
    mirrored = bereft.run("dvc-wandb", "mirror", ok=False)
    failed = {line.split()[1] for line in mirrored.text.splitlines() if " was not mirrored: " in line}
    assert failed == {f"{name}.dvc" for name in NOWHERE} | {f"from_{name}" for name in NOWHERE}
    verified = bereft.json("dvc-wandb", "verify", "--json", ok=False)
    named = {drift["where"] for drift in verified["drifts"]}
    assert named == set(NOWHERE) | {f"{name}.dvc" for name in NOWHERE} | {f"from_{name}" for name in NOWHERE}
    again = bereft.run("dvc-wandb", "reproduce", ok=False, env={"TMPDIR": str(tmp_path)})
    told = re.findall(r"(?m)^(\w+): it did not run to its end", again.text)
    assert sorted(told) == sorted(f"from_{name}" for name in NOWHERE)
    for name in ("from_there.txt", "from_pushed.txt", "best.json", "score.json"):
        assert f"  equal   {name}" in again.text
    assert "| score.json | score |" in bereft.run("dvc-wandb", "report").text
    assert "pushed " in bereft.run("dvc-wandb", "push").text
    bereft.run("dvc-wandb", "get", "m", "--output", str(tmp_path / "got"))
    assert (tmp_path / "got").read_text() == "there\n"


@pytest.mark.parametrize("has_other_bytes", [False, True])
@pytest.mark.parametrize("name", NOWHERE)
def test_what_verify_says_of_an_import_that_is_nowhere_mends_it(bereft: Clone, name: str, has_other_bytes: bool):
    """`dvc-wandb mirror` was said, which can't. Some of it is for another person: for whoever has imported it."""
    owner = Clone(bereft.path.parent / "owner", bereft.env)
    if has_other_bytes:
        (bereft.path / name).write_text("others\n")
    mends = {
        drift["where"]: drift["mend"] for drift in bereft.json("dvc-wandb", "verify", "--json", ok=False)["drifts"]
    }
    mend, then, command = mends[name].rpartition("; then ")
    assert (then, command) == ("; then ", "dvc-wandb mirror")
    assert mends[f"{name}.dvc"] == mends[f"from_{name}"] == mends[name]
    first, taken, made_do = mend.partition("; `dvc remove ")
    assert bool(taken) == (has_other_bytes and name != "moved")
    if taken:  # the other one of two ways
        bereft.run("sh", "-c", f"dvc remove {made_do.partition('`')[0]}")
    elif "Put back" in first:
        shutil.copyfile(owner.path / name, bereft.path / name)
    else:
        for said in re.findall(r"`(.+?)`( by whoever has it)?", first):
            (owner if said[1] else bereft).run("sh", "-c", said[0])
    bereft.run("dvc-wandb", "mirror", ok=False)  # the other two are nowhere still
    left = {drift["where"] for drift in bereft.json("dvc-wandb", "verify", "--json", ok=False)["drifts"]}
    assert left & {name, f"{name}.dvc", f"from_{name}"} == set()


def test_what_is_said_of_imports_of_a_past_commit_brings_them(bereft: Clone):
    for name in NOWHERE:
        bereft.git("rm", "--quiet", f"{name}.dvc")
    without = "\n".join(line for line in STAGES.splitlines() if not re.match(r"  from_(gone|moved|lost): ", line))
    (bereft.path / "dvc.yaml").write_text(without)
    bereft.run("dvc", "pull", "--quiet", "there", "pushed")
    bereft.run("dvc", "repro", "--quiet")
    bereft.git("commit", "--quiet", "--all", "--message", "Without those that are gone")
    lines = bereft.run("dvc-wandb", "mirror", "--all-commits", ok=False).text.splitlines()
    said = {name: [line for line in lines if f"{name}.dvc at" in line and "DVC" in line] for name in NOWHERE}
    assert all(
        "`dvc push --all-commits` by whoever has it" in line for name in ("moved", "lost") for line in said[name]
    )
    assert all("Its source alone can bring it back" in line for line in said["gone"])
    assert all(said.values())
    owner = Clone(bereft.path.parent / "owner", bereft.env)
    owner.run("dvc", "push", "--quiet", "--all-commits")
    done = bereft.run("dvc-wandb", "mirror", "--all-commits", ok=False)
    assert {line.split()[1] for line in done.text.splitlines() if " was not mirrored: " in line} == {
        "gone.dvc",
        "from_gone",
    }
