"""The lineage that is drawn: both sides' names, up- and downstream, across commits, for eyes and for programs."""

from __future__ import annotations

import hashlib
import re
import resource
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dvc_wandb.report import graph_text
from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in

SHOW = ("dvc-wandb", "show")


def nodes(project: Clone, *arguments: str) -> tuple[set[str], set[str]]:
    """The stages and the paths that a graph has."""
    told = project.json(*SHOW, *arguments, "--json")
    return {one["stage"] for one in told["stages"]}, {one["path"] for one in told["contents"]}


def test_both_sides_names_stand_beside_each_other(foreign_project: Clone):
    shown = foreign_project.run(*SHOW).text
    assert re.search(r"^├◂ fetched.csv +\w{8} +fetched.csv:v0  ← fetch$", shown, flags=re.MULTILINE)
    assert re.search(r"^└▸ models/eu.txt +\w{8} +best:v0  → score$", shown, flags=re.MULTILINE)
    assert re.search(r"^check · run \S+\n└◂ scores.json", shown, flags=re.MULTILINE)
    assert "not there" not in shown


@pytest.mark.slow
def test_no_line_is_wider_than_the_terminal(foreign_project: Clone):
    for columns in (80, 50):
        shown = foreign_project.run(*SHOW, env={"COLUMNS": str(columns)}).text
        assert max(map(graph_text.width_of, shown.splitlines())) <= columns


@pytest.mark.slow
def test_nothing_is_cut_in_a_pipe_and_a_flowchart_that_github_draws_not_has_the_stages_alone(tmp_path: Path):
    """Names were cut to 80 columns, also in a file or for `grep`."""
    project = project_in(tmp_path / "wide")
    project.run("dvc", "init", "--quiet", "--no-scm")
    names = [f"{'long' * 30}-{number}.txt" for number in range(410)]
    for name in names:
        (project.path / name).write_text("the same")
    deps = ", ".join(names)
    (project.path / "dvc.yaml").write_text(
        f"stages: {{count: {{cmd: echo 1 > n.txt, deps: [{deps}], outs: [n.txt]}}}}\n"
    )
    project.run("dvc", "repro", "--quiet")
    quiet = {"WANDB_MODE": "disabled", "COLUMNS": ""}  # pytest sets it
    shown = project.run(*SHOW, env=quiet).text
    assert [name in shown for name in names] == [True] * 410
    assert "…" in project.run(*SHOW, env=quiet | {"COLUMNS": "80"}).text
    mermaid = project.run(*SHOW, "--mermaid", env=quiet).text
    assert "the flowchart has stages alone: all 411 edges are more than the 400 that it may have" in mermaid
    assert "`dvc-wandb show --svg` draws them." in mermaid
    assert project.run(*SHOW, "--svg", env=quiet).text.count('marker-end="url(#lineage-end)"') == 411


@pytest.mark.slow
def test_without_a_registry_dvcs_names_are_shown_and_that_is_said_once(history: Clone):
    shown = history.run(*SHOW).text
    assert shown.count("DVC's names only: WANDB_MODE is disabled") == 1
    assert re.search(r"^├▸ model.txt +\w{8} +→ judge$", shown, flags=re.MULTILINE)


def test_upstream_and_downstream_of_one_artifact(history: Clone):
    assert nodes(history, "model.txt", "--upstream")[0] == {"clean", "fit"}
    assert nodes(history, "model.txt", "--downstream") == (
        {"judge"},
        {"judge.py", "model.txt", "score.json", "champion.json", "verdict.json"},
    )
    assert nodes(history, "model.txt")[0] == {"clean", "fit", "judge"}
    assert nodes(history, "clean")[0] == {"clean", "fit", "judge"}
    assert nodes(history, "raw.csv", "--upstream") == (set(), {"raw.csv"})


@pytest.mark.slow
def test_a_file_in_a_folder_out_stands_for_the_folder(foreign_project: Clone):
    stages, paths = nodes(foreign_project, "folder/one.csv", "--upstream")
    assert stages == {"folder"}
    assert {"folder", "code"} <= paths


@pytest.mark.slow
def test_a_path_is_found_from_a_subfolder_too(foreign_project: Clone):
    below = Clone(foreign_project.path / "sub", foreign_project.env)
    assert nodes(below, "prepared.csv", "--upstream")[0] >= {"sub/dvc.yaml:prepare", "fetch"}


@pytest.mark.soak
def test_a_stage_that_neither_reads_nor_makes_anything_is_found(foreign_project: Clone):
    # `dvc.lock has nothing called 'say'`, though it has
    assert foreign_project.run(*SHOW, "say").text.startswith("say · run say-")
    assert "say last ran for" in foreign_project.run("dvc-wandb", "why", "say").text
    assert "check · run check-" in foreign_project.run(*SHOW, "check", "--upstream").text


@pytest.mark.slow
def test_an_unknown_path_is_refused_with_those_that_are_known(history: Clone):
    done = history.run(*SHOW, "modle.txt", ok=False)
    assert done.code == 1
    assert "dvc.lock has nothing called 'modle.txt'. It has: champion.json, clean.csv" in done.text
    assert "dvc-wandb show PATH" in history.run(*SHOW, "--upstream", ok=False).text


@pytest.mark.slow
def test_across_time_each_model_has_the_commit_of_its_data(history: Clone):
    states = history.json(*SHOW, "model.txt", "--commits", "--json")
    came_from = [{one["path"]: one["subject"] for one in state["contents"]} for state in states]
    assert [(one["model.txt"], one["raw.csv"]) for one in came_from] == [
        ("More data", "More data"),
        ("Higher rate", "First data"),
        ("First data", "First data"),
    ]
    shown = history.run(*SHOW, "model.txt", "--commits").text
    assert len(re.findall(r"^model.txt ", shown, flags=re.MULTILINE)) == 3
    assert re.search(r"^  raw.csv  \w{8}\n      since \w{7} \d{4}-\d\d-\d\d First data$", shown, flags=re.MULTILINE)


@pytest.mark.slow
def test_mermaid_has_every_node_and_edge_once_and_its_labels_are_safe(foreign_project: Clone):
    done = foreign_project.run(*SHOW, "--mermaid")
    head, *lines = done.text.splitlines()
    declared = re.findall(r"^  (\w+)(?:\[\"|\(\[\")(.*?)\"[\])]", "\n".join(lines), flags=re.MULTILINE)
    edges = re.findall(r"^  (\w+) --> (\w+)$", "\n".join(lines), flags=re.MULTILINE)
    assert head == "flowchart TD"
    assert len({name for name, _ in declared}) == len(declared)
    assert {end for edge in edges for end in edge} <= {name for name, _ in declared}
    assert len(edges) == len(set(edges)) == 57
    for _, label in declared:
        assert re.fullmatch(r"([\w /.\-:…]|#\d+;|<br>)+", label), label


@pytest.mark.slow
def test_svg_is_one_self_contained_accessible_picture(history: Clone):
    done = history.run(*SHOW, "--svg")
    text = done.text[done.text.index("<svg") :]
    picture = ElementTree.fromstring(text)
    names = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert names[0] == "Lineage of project"
    assert 'fit: Fit <the> "model" & keep it' in names
    assert picture.get("role") == "img"
    assert "fit reads fit.py, clean.csv and makes model.txt" in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"(href|src|@import|url\((?!#))", text)


@pytest.mark.soak
def test_boxes_of_the_picture_do_not_overlap(foreign_project: Clone):
    done = foreign_project.run(*SHOW, "--svg")
    found = re.findall(r'<rect x="([\d.]+)" y="(\d+)" width="(\d+)" height="(\d+)"', done.text)
    boxes = [tuple(map(float, one)) for one in found]
    told = foreign_project.json(*SHOW, "--json")
    assert len(boxes) == len(told["stages"]) + len(told["contents"])
    for at, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, _, _ in boxes[at + 1 :]:
            assert abs(x - other_x) >= width or abs(y - other_y) >= height


@pytest.mark.soak
def test_the_drawing_is_the_same_every_time(history: Clone):
    for form in ((), ("--mermaid",), ("--svg",), ("--json",)):
        assert history.run(*SHOW, *form).text == history.run(*SHOW, *form).text


@pytest.mark.slow
def test_a_project_in_which_nothing_ran_is_shown_as_empty(tmp_path: Path):
    project = project_in(tmp_path / "empty")
    project.run("dvc", "init", "--quiet", "--no-scm")
    assert project.run(*SHOW, env={"WANDB_MODE": "disabled"}).code == 0


@pytest.mark.soak
def test_five_hundred_commits_are_read_in_time_that_grows_with_their_number(tmp_path: Path):
    """Twice as many took four times as long, and nothing was said meanwhile."""
    project = project_in(tmp_path / "long")
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (project.path / "dvc.yaml").write_text("stages: {make: {cmd: echo 0 > a.txt, outs: [a.txt]}}\n")
    project.run("dvc", "repro", "--quiet")
    lock, first = project.read("dvc.lock"), hashlib.md5(b"0\n").hexdigest()
    seconds = {}
    for number in range(1, 501):
        value = f"{number}\n".encode()
        changed = lock.replace(first, hashlib.md5(value).hexdigest()).replace("echo 0", f"echo {number}")
        (project.path / "dvc.lock").write_text(changed)
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", f"number {number}")
        if number in (125, 500):
            for which in ("first", "again"):
                start = resource.getrusage(resource.RUSAGE_CHILDREN)
                done = project.run("dvc-wandb", "show", "--commits", "a.txt", env={"WANDB_MODE": "disabled"})
                end = resource.getrusage(resource.RUSAGE_CHILDREN)
                seconds[which, number] = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
                assert done.text.count("since ") >= number
                if (which, number) == ("first", 500):
                    assert re.search(rf"read \d+ of {number} commits …", done.text)
    print({key: round(value, 1) for key, value in seconds.items()})
    assert seconds["first", 500] < 5 * seconds["first", 125]
    assert seconds["again", 500] < 5 * seconds["again", 125]
