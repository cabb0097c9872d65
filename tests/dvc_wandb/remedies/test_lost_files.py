"""What messages say of a file that is gone is typed here, for each way in which a file can be kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvc_wandb.project import remedies
from dvc_wandb.project.pipeline import Pipeline
from tests.conftest import Clone
from tests.dvc_wandb import foreign
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

STAGES = """
stages:
  make:
    cmd: mkdir made && cat code.py "in git/a b.txt" added.bin ignored.txt > made/one.txt && cp made/one.txt seen.txt
    deps: [code.py, in git, added.bin, ignored.txt]
    outs:
      - made
      - seen.txt: {cache: false}
  use:
    cmd: cp made/one.txt used.txt
    deps: [made/one.txt]
    outs: [used.txt]
"""
ADDED = ("added.bin",)
IMPORTED = ("imported.csv", "fetched.csv")  # from another repository, and by a path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Files that git keeps, one by itself and one in a folder, that DVC keeps, and that nobody keeps; a remote."""
    project = project_in(tmp_path_factory.mktemp("kept") / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "in git").mkdir()
    for name in ("code.py", "in git/a b.txt", "added.bin", "ignored.txt"):
        (project.path / name).write_text(f"{name}\n")
    (project.path / ".gitignore").write_text("/ignored.txt\n")
    (project.path / "dvc.yaml").write_text(STAGES)
    project.run("dvc", "add", "--quiet", *ADDED)
    foreign.library(project, "library")
    project.run("dvc", "import", "--quiet", "../library", "shared.csv", "-o", "imported.csv")
    project.run("dvc", "import-url", "--quiet", str(project.path.parent / "library/lib.txt"), "fetched.csv")
    project.run("dvc", "remote", "add", "--quiet", "--default", "near", str(project.path.parent / "remote"))
    project.run("dvc", "repro", "--quiet")
    project.run("dvc", "push", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "one")
    return project


def for_missing_bytes(project: Clone, path: str) -> str:
    """What is said of the bytes that dvc.lock has at `path`."""
    pipeline = Pipeline(project.path)
    contents = [one for execution in pipeline.locked() for one in (*execution.deps, *execution.outs)]
    md5 = next((one.md5 for one in [*contents, *pipeline.added()] if one.path == path), "")
    return remedies.for_missing_bytes(pipeline.dvc, path, str(md5))


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("path", "command", "cache"),
    [
        ("code.py", "git checkout HEAD -- code.py", True),
        ("in git/a b.txt", "git checkout HEAD -- 'in git/a b.txt'", True),
        ("in git", "git checkout HEAD -- 'in git'", True),
        ("added.bin", "dvc checkout added.bin", True),
        ("made", "dvc checkout made", True),
        ("made/one.txt", "dvc checkout made", True),
        ("seen.txt", "dvc repro make", True),
        ("imported.csv", "dvc checkout imported.csv", True),
        ("fetched.csv", "dvc checkout fetched.csv", True),
        ("added.bin", "dvc pull added.bin", False),
        ("imported.csv", "dvc pull imported.csv", False),
        ("imported.csv", "dvc update imported.csv.dvc", False),
        ("fetched.csv", "dvc pull fetched.csv", False),
        ("fetched.csv", "dvc update fetched.csv.dvc", False),
        ("made", "dvc repro make", False),
    ],
)
def test_a_file_that_is_gone_is_brought_back_by_what_is_said(kept: Clone, path: str, command: str, cache: bool):
    """`dvc repro` was said to make what git keeps, and `git checkout` to bring what git ignores."""
    remove(kept.path / path)
    if not cache:
        shutil.rmtree(kept.path / ".dvc/cache")
    said = remedies.for_missing_file(Pipeline(kept.path).dvc, path)
    assert command in re.findall(r"`(.+?)`", said)
    assert len(re.findall(r"`(.+?)`", said)) == (2 if " or " in said else 1)
    kept.run("sh", "-c", command)
    assert (kept.path / path).exists()
    assert kept.git("status", "--porcelain") == ""


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("gone", [("made", "added.bin"), ("seen.txt",), ("code.py",), ("added.bin",)])
def test_what_is_said_in_a_folder_of_the_project_works_there(
    kept: Clone, monkeypatch: pytest.MonkeyPatch, gone: tuple[str, ...], cache: bool
):
    """The paths were those from the project's root. `dvc repro` alone doesn't bring what it reads and nobody makes."""
    folder = Clone(kept.path / "in git", kept.env)
    monkeypatch.chdir(folder.path)
    for path in gone:
        remove(kept.path / path)
    if not cache:
        shutil.rmtree(kept.path / ".dvc/cache")
    (command,) = re.findall(r"`(.+?)`", remedies.for_missing_file(Pipeline(kept.path).dvc, gone[0]))
    folder.run("sh", "-c", command)
    assert (kept.path / gone[0]).exists()
    kept.run("dvc", "pull", "--quiet")
    assert kept.git("status", "--porcelain") == ""


def test_what_nobody_keeps_is_said_to_be_nobodys(kept: Clone):
    assert remedies.for_missing_file(Pipeline(kept.path).dvc, "ignored.txt").startswith("Neither git nor DVC keeps it")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("code.py", "`git checkout HEAD -- code.py && dvc repro make` takes the one that git has."),
        ("in git", "`git checkout HEAD -- 'in git' && dvc repro make` takes the one that git has."),
        ("ignored.txt", "Put it back, or another one and run `dvc repro make`."),
        ("imported.csv", "`dvc update imported.csv.dvc` imports it anew."),
    ],
)
def test_bytes_that_are_nowhere_and_not_here_either(kept: Clone, monkeypatch: pytest.MonkeyPatch, path: str, said: str):
    monkeypatch.chdir(kept.path)  # DVC takes the relative address of a repository from there
    target, aside = kept.path / path, kept.path.parent / "aside"
    target.rename(aside)
    assert for_missing_bytes(kept, path) == said
    if "Put it back" in said:
        aside.rename(target)
    for command in re.findall(r"`(.+?)`", said):
        kept.run("sh", "-c", command)
    assert target.exists()
    if aside.exists():
        remove(aside)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("code.py", "dvc repro make"),
        ("ignored.txt", "dvc repro make"),
        ("added.bin", "dvc commit --force added.bin.dvc && dvc repro make"),
        ("seen.txt", "dvc repro make"),
        ("made", "dvc repro make"),
        ("used.txt", "dvc repro use"),
        ("imported.csv", "dvc update imported.csv.dvc"),
        ("fetched.csv", "dvc update fetched.csv.dvc"),
    ],
)
def test_bytes_that_are_nowhere_are_replaced_by_what_is_said(
    kept: Clone, monkeypatch: pytest.MonkeyPatch, path: str, command: str
):
    """After it, dvc.lock names bytes that there are."""
    monkeypatch.chdir(kept.path)
    target = kept.path / path
    target = next(target.iterdir()) if target.is_dir() else target
    target.unlink()
    target.write_text(f"other bytes of {path}\n")
    said = for_missing_bytes(kept, path)
    assert command in re.findall(r"`(.+?)`", said)
    kept.run("sh", "-c", command)
    pipeline = Pipeline(kept.path)
    contents = [one for execution in pipeline.locked() for one in (*execution.deps, *execution.outs)]
    (named,) = {one.md5: one for one in [*contents, *pipeline.added()] if one.path == path}.values()
    assert pipeline.files(named)


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Clone]:
    """A project in which no stage has run, one of them in a folder."""
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "sub").mkdir()
    (project.path / "data.txt").write_text("1\n")
    (project.path / "dvc.yaml").write_text(
        "stages: {one: {cmd: cp data.txt one.txt, deps: [data.txt], outs: [one.txt]}}"
    )
    (project.path / "sub/dvc.yaml").write_text(
        "stages: {two: {cmd: cp ../one.txt two.txt, deps: [../one.txt], outs: [two.txt]}}"
    )
    yield project
    daemon.stop(project.path / ".registry")


def test_stages_that_never_ran_run_by_what_is_said(begun: Clone):
    """`dvc repro` was said, which runs the stages of one dvc.yaml."""
    (begun.path / "far").mkdir()
    (begun.path / "far/file").write_text("1\n")
    begun.run("dvc", "import-url", "--quiet", "--no-download", str(begun.path / "far/file"), "sub/imported.txt")
    for words in (("show",), ("verify",), ("init",)):
        assert "dvc repro --all-pipelines" in begun.run("dvc-wandb", *words, ok=False).text
    noted = begun.run("dvc-wandb", "verify", ok=False).text
    commands = [re.findall(r"`(.+?)`", line)[0] for line in noted.splitlines() if line.startswith("note: ")]
    assert commands == ["dvc repro --all-pipelines", "dvc update sub/imported.txt.dvc"]
    for command in commands:
        begun.run("sh", "-c", command)
    begun.run("dvc-wandb", "mirror")
    verified = begun.run("dvc-wandb", "verify").text
    assert "3 stages, 6 edges" in verified
    assert "note: " not in verified


def test_why_names_the_command_that_brings_an_out_up_to_date(begun: Clone):
    begun.run("dvc", "repro", "--quiet", "--all-pipelines")
    begun.git("add", "--all")
    begun.git("commit", "--quiet", "--message", "one")
    (begun.path / "data.txt").write_text("2\n")
    in_sub = Clone(begun.path / "sub", begun.env)
    for place, path in ((begun, "sub/two.txt"), (in_sub, "two.txt")):
        (command,) = re.findall(r"`(.+?)` would bring", place.run("dvc-wandb", "why", path).text)
        place.run("sh", "-c", command)
        assert "since then: nothing has changed" in place.run("dvc-wandb", "why", path).text
        begun.git("checkout", "--quiet", "dvc.lock", "sub/dvc.lock")
    (command,) = re.findall(r"`(.+?)`", begun.run("dvc-wandb", "why", "data.txt").text)
    assert "data.txt" in begun.run("sh", "-c", command).text


def test_a_project_without_commits_gets_some_by_what_is_said(tmp_path: Path):
    """`git init` was said to whom DVC was told to do without git, and changed nothing."""
    project = project_in(tmp_path / "project")
    project.run("dvc", "init", "--quiet", "--no-scm")
    (project.path / "dvc.yaml").write_text("stages: {one: {cmd: echo 1 > one, outs: [one]}}")
    (project.path / ".gitignore").write_text("/one\n")
    project.run("dvc", "repro", "--quiet")
    (command,) = re.findall(r"`(.+?)`", project.run("dvc-wandb", "reproduce", ok=False).text)
    assert command in project.run("dvc-wandb", "init").text
    project.run("sh", "-c", command)
    assert "Commit it" in project.run("dvc-wandb", "reproduce", ok=False).text
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "one")
    assert "all equal to the byte" in project.run("dvc-wandb", "reproduce").text


@pytest.mark.parametrize("which", [0, 1])
def test_a_project_whose_repository_is_gone_is_read_after_what_is_said(begun: Clone, which: int):
    begun.run("dvc", "repro", "--quiet", "--all-pipelines")
    shutil.rmtree(begun.path / ".git")
    said = re.findall(r"`(.+?)`", begun.run("dvc-wandb", "mirror", ok=False).text)
    assert len(said) == 2
    begun.run("sh", "-c", said[which])
    begun.run("dvc-wandb", "mirror")


@pytest.mark.parametrize("is_set_up", [False, True], ids=["no remote", "a remote that came later"])
def test_bytes_of_a_commit_without_a_remote_are_pushed_by_what_is_said(begun: Clone, tmp_path: Path, is_set_up: bool):
    """`dvc push --all-commits` was said, which has for each commit the remote that it had itself."""
    for text in ("first", "second"):
        (begun.path / "data.txt").write_text(text)
        begun.run("dvc", "repro", "--quiet", "--all-pipelines")
        begun.git("add", "--all")
        begun.git("commit", "--quiet", "--message", text)
    if is_set_up:
        begun.run("dvc", "remote", "add", "--quiet", "--default", "late", str(tmp_path / "remote"))
        begun.git("commit", "--quiet", "--all", "--message", "A remote")
    owner = Clone(tmp_path / "owner", begun.env)
    shutil.copytree(begun.path, owner.path, symlinks=True)
    shutil.rmtree(begun.path / ".dvc/cache")
    said = begun.run("dvc-wandb", "mirror", "--all-commits", ok=False)
    (command,) = set(re.findall(r"`(.+?)` by whoever has it", said.text))
    command = command.replace("NAME", "late").replace("URL", str(tmp_path / "remote"))
    owner.run("sh", "-c", command)
    if not is_set_up:
        begun.run("dvc", "remote", "add", "--quiet", "--default", "late", str(tmp_path / "remote"))
    begun.run("dvc-wandb", "mirror", "--all-commits")


def test_production_without_a_remote_is_pushed_after_what_is_said(history: Clone, tmp_path: Path):
    refused = history.run("dvc-wandb", "push", ok=False)
    (command,) = re.findall(r"`(.+?)`", refused.text)
    history.run("sh", "-c", command.replace("NAME", "near").replace("URL", str(tmp_path / "remote")))
    try:
        assert "pushed " in history.run("dvc-wandb", "push").text
    finally:
        history.git("checkout", "--quiet", ".dvc/config")


def test_a_first_decision_is_made_by_what_is_said(tmp_path: Path):
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet")
    project.run("dvc", "init", "--quiet")
    record = '{"registered_model": "model-registry/m", "model_md5": "b026324c6904b2a9cb4b88d6d61c81d1"}'
    (project.path / "judge.sh").write_text(f"cat > best.json <<'END'\n{record}\nEND\n")
    (project.path / "dvc.yaml").write_text("""
stages:
  model: {cmd: echo 1 > model, outs: [model]}
  judge:
    cmd: sh judge.sh
    deps: [model]
    outs: [best.json: {cache: false, persist: true}]
    meta: {wandb: {promotes: best.json, links: {model: model-registry/m}}}
""")
    refused = project.run("dvc-wandb", "promote", "--version", "v0", "--reason", "good", ok=False)
    assert "there is no best.json yet" in refused.text
    (command,) = re.findall(r"`(.+?)`", refused.text)
    project.run("sh", "-c", command)
    project.run("dvc-wandb", "get", "m", "--output", "got")
    assert project.read("got") == "1\n"


@pytest.mark.parametrize(
    ("folder", "begin", "command"),
    [
        ("project", None, "git init && dvc init"),
        ("project", "project", "dvc init"),
        ("repository/inside", "repository", "dvc init --subdir"),
    ],
)
def test_where_there_is_no_project_one_is_made_by_what_is_said(
    tmp_path: Path, folder: str, begin: str | None, command: str
):
    """`dvc init` was said everywhere; it works at git's root alone."""
    here = project_in(tmp_path / folder)
    if begin:
        here.run("git", "init", "--quiet", str(tmp_path / begin))
    refused = here.run("dvc-wandb", "mirror", ok=False)
    assert refused.code == 1
    assert re.findall(r"`(.+?)`", refused.text)[0] == command
    here.run("sh", "-c", command)
    assert (here.path / ".dvc").is_dir()


def test_above_projects_they_are_named(begun: Clone, tmp_path: Path):
    """`dvc init` was said, which would have made another one around them."""
    above = project_in(tmp_path / "above")
    above.git("init", "--quiet")
    begun.path.joinpath(".git").rename(tmp_path / "git")
    begun.path.rename(above.path / "in side")
    above.git("add", "--all")
    (command,) = re.findall(r"`(.+?)`", above.run("dvc-wandb", "show", ok=False).text)
    assert "never ran" not in above.run("sh", "-c", f"{command} && test -d .dvc").text


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_project_that_git_has_and_the_workspace_has_not_is_brought_by_what_is_said(begun: Clone, is_sparse: bool):
    """`dvc init` was said, which would have made another one."""
    begun.git("add", "--all")
    begun.git("commit", "--quiet", "--message", "one")
    if is_sparse:
        begun.git("sparse-checkout", "set", "--cone", "sub")
    else:
        shutil.rmtree(begun.path / ".dvc")
    refused = Clone(begun.path / "sub", begun.env).run("dvc-wandb", "show", ok=False)
    command, *_ = re.findall(r"`([^`]+)` in ", refused.text)
    begun.run("sh", "-c", command)
    assert "nothing to draw yet" in begun.run("dvc-wandb", "show").text


@pytest.mark.parametrize("in_git", [True, False])
def test_a_broken_list_of_packages_is_mended_by_what_is_said(tmp_path: Path, in_git: bool):
    here = project_in(tmp_path / "project")
    here.git("init", "--quiet")
    here.run("dvc", "init", "--quiet")
    (here.path / "requirements.txt").write_text("numpy==1.26.4\n")
    (here.path / "packages.yaml").write_text("numpy: 1.26.4\n")
    here.git("add", *(["packages.yaml"] if in_git else []), ".dvc")
    here.git("commit", "--quiet", "--message", "one")
    (here.path / "packages.yaml").write_text("[numpy\n")
    said = here.run("dvc-wandb", "lock", ok=False)
    assert said.code == 1
    if in_git:
        here.run("sh", "-c", re.findall(r"`(.+?)`", said.text)[0])
    else:
        assert "Remove it, and this command makes it anew." in said.text
        (here.path / "packages.yaml").unlink()
    here.run("dvc-wandb", "lock")
