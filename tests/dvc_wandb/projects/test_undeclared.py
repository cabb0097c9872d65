"""Files that a stage reads and dvc.yaml doesn't name: told where the stage runs, by `verify` and by `init`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import Clone, api_of
from tests.dvc_wandb.conftest import project_in
from wandb_registry import daemon

pytestmark = pytest.mark.slow

STAGES = """
vars: [templates.yaml]
stages:
  clean:
    cmd: sort raw.csv > clean.csv && mkdir -p parts && cp clean.csv raw.csv parts
    deps: [raw.csv]
    outs: [clean.csv, parts]
  fit:
    cmd: echo 3 > made.txt && python -m lib.fit
    deps: [lib/fit.py, folder, parts/raw.csv]
    params: [rate, {other.yaml: }]
    outs:
      - model.txt
      - state.txt: {persist: true, cache: false}
  judge:
    wdir: sub
    matrix: {by: ["${by}"]}
    cmd: python judge.py ${item.by}
    deps: [judge.py, ../model.txt]
    outs: ["${item.by}.txt"]
"""
FIT = """
import json, os
from dvc_wandb import tracked_run
from lib import reading

with tracked_run("fit") as run:
    from lib.late import late
    for name in ("params.yaml", "other.yaml", "templates.yaml", "dvc.yaml", "dvc.lock", ".gitignore", "added.bin.dvc"):
        open(name).close()                                          # tools' and parameters' own
    for name in ("folder/a.csv", "parts/raw.csv", "ignored.log", "made.txt", ".hidden/cache", "lib/site-packages/x.py"):
        if os.path.exists(name):
            open(name).close()                                      # a dep, and what is no part of the project
    open("notes.txt", "w").write("1")
    open("notes.txt").close()                                       # its own
    os.close(os.open("notes.txt", os.O_RDONLY))
    if os.path.exists(run.out("state.txt")):
        open(run.out("state.txt")).read()
    names = json.load(open("names of classes.json"))
    clean, added = open("clean.csv").read(), open("added.bin", "rb").read()
    os.close(os.open(os.path.abspath("raw.csv"), os.O_RDONLY))
    for at in range(12):
        open(f"many/{at}.csv").close()
    run.out("model.txt").write_text(reading.read() + str(names) + clean)
    run.out("state.txt").write_text("1")
"""
FILES = {
    "dvc.yaml": STAGES,
    "lib/__init__.py": '"""A package without code."""\n',
    "lib/fit.py": FIT,
    "lib/reading.py": "from lib.deep import two\n\ndef read():\n    return 'x' * two\n",
    "lib/deep.py": "two = 2\n",
    "lib/late.py": "late = 1\n",
    "sub/judge.py": "import sys, rules\nopen(f'{sys.argv[1]}.txt', 'w').write(rules.text)\n",
    "sub/rules.py": "text = 'good'\n",
    "folder/a.csv": "1\n",
    "raw.csv": "b\na\n",
    "names of classes.json": "[]",
    "params.yaml": "rate: 1\nproject: undeclared\n",
    "other.yaml": "depth: 1\n",
    "templates.yaml": "by: man\n",
    "ignored.log": "x\n",
    ".hidden/cache": "x\n",
    "lib/site-packages/x.py": "x = 1\n",
    "added.bin": "x",
    ".gitignore": "/.registry/\n*.log\n",
    **{f"many/{at}.csv": "1\n" for at in range(12)},
}
SEEN_BY_TEXT = ["lib/deep.py", "lib/late.py", "lib/reading.py"]
SEEN = ["added.bin", "clean.csv", *SEEN_BY_TEXT, "many", "names of classes.json", "raw.csv"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A project whose stages read more than dvc.yaml says, run once."""
    made = project_in(tmp_path_factory.mktemp("undeclared") / "project")
    made.git("init", "--quiet", "--initial-branch=main")
    made.run("dvc", "init", "--quiet")
    for name, text in FILES.items():
        (made.path / name).parent.mkdir(parents=True, exist_ok=True)
        (made.path / name).write_text(text)
    made.run("dvc", "add", "--quiet", "added.bin")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "First")
    made.said["init"] = made.run("dvc-wandb", "init")
    made.said["repro"] = made.run("dvc", "repro")
    made.run("dvc-wandb", "mirror")
    yield made
    daemon.stop(made.path / ".registry")


def told_of(stage: str, text: str) -> list[str]:
    """The files that lines of `text` name as read by `stage`."""
    lines = [line.removeprefix(f"{stage} reads ") for line in text.splitlines() if line.startswith(f"{stage} reads ")]
    return [line.partition(", which is none of its deps")[0] for line in lines]


def test_a_stage_names_what_it_opened_and_imported(project: Clone):
    assert told_of("fit", project.said["repro"].text) == SEEN


def test_its_run_keeps_that(project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A run that was mirrored without running, too: what can be told from the modules' text."""
    runs = {run.name: run for run in api_of(project, monkeypatch, tmp_path).runs("undeclared")}
    assert runs["fit"].config["dvc"]["undeclared_deps"] == SEEN
    assert runs["judge@man"].config["dvc"]["undeclared_deps"] == ["sub/rules.py"]
    assert "undeclared_deps" not in runs["clean"].config["dvc"]


def test_init_lists_the_lines_that_dvc_yaml_needs(project: Clone):
    """From the modules' text alone: nothing has run."""
    text = project.said["init"].text
    lines = [line[4:] for line in text[text.index("dvc.yaml: stages read") :].split("\n\n")[0].splitlines()[1:]]
    assert yaml.safe_load("\n".join(lines)) == {
        "stages": {"fit": {"deps": SEEN_BY_TEXT}, "judge": {"deps": ["rules.py"]}}
    }


def test_verify_notes_it_and_fails_when_it_is_strict(project: Clone):
    done = project.run("dvc-wandb", "verify")
    assert "dvc.lock and the registry agree; 9 undeclared deps" in done.text
    assert told_of("fit", done.text) == SEEN
    assert told_of("judge@man", done.text) == ["sub/rules.py"]
    done = project.run("dvc-wandb", "verify", "--strict", "--json", ok=False, stderr=None)
    assert done.code == 1
    answer = json.loads(done.text)
    assert answer["agree"] is True
    assert [(one["stage"], one["path"]) for one in answer["undeclared_deps"]] == [
        *(("fit", path) for path in SEEN),
        ("judge@man", "sub/rules.py"),
    ]


@pytest.mark.soak
def test_an_experiment_in_a_folder_of_its_own_names_the_same(project: Clone):
    tried = project.run("dvc", "exp", "run", "--temp", "--name", "faster", "--set-param", "rate=2")
    assert told_of("fit", tried.text) == SEEN


def test_the_lines_can_be_pasted_and_end_it(project: Clone):
    text = project.said["repro"].text
    lines = itertools.takewhile(lambda line: line[:1] == " ", text[text.index("dvc.yaml needs:\n") :].splitlines()[1:])
    needed = yaml.safe_load("\n".join(lines))["stages"]
    whole = yaml.safe_load(STAGES)
    whole["stages"]["fit"]["deps"] += needed["fit"]["deps"]
    try:
        (project.path / "dvc.yaml").write_text(yaml.safe_dump(whole))
        done = project.run("dvc", "repro")
        assert done.ran == ["fit"]
        assert told_of("fit", done.text) == []
        (project.path / "lib/deep.py").write_text("two = 3\n")
        assert "lib/deep.py" in str(project.json("dvc", "status", "--json")["fit"])
    finally:
        project.git("checkout", "--quiet", ".")
