"""The page for a pull request: the same facts as Markdown and as self-contained HTML, hostile names included."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dvc_wandb.report.report import Metric
from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in

REPORT = ("dvc-wandb", "report")


class Page(HTMLParser):
    """What a page loads, its text, and the tags that were left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = self.links if tag == "a" else self.loaded
        kept += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def pages(history: Clone, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The report on `history` against its first commit."""
    page = tmp_path_factory.mktemp("report") / "sub/report.html"
    return history.run(*REPORT, "--base", "HEAD~2", "--html", str(page)).text, page.read_text()


def test_metrics_stand_beside_those_of_the_base(pages: tuple[str, str]):
    assert "| score.json | score | 1.0 | 6.0 | +5 |" in pages[0].replace(" 1 |", " 1.0 |").replace(" 6 |", " 6.0 |")
    assert "| score.json | by.rows | 2 | 3 | +1 |" in pages[0]
    assert re.search(r"score\s+1\s+6\s+\+5", re.sub(r"<[^>]+>", " ", pages[1]))


def test_a_metric_that_is_no_number_has_no_change():
    nothing = float("nan")
    assert [Metric("m", "x", *pair).change for pair in ((nothing, 1.0), (1.0, nothing), (True, 2), (1, 1), (1, 3))] == [
        None, None, None, None, 2,
    ]  # fmt: skip


def test_the_decision_and_both_models_are_there(pages: tuple[str, str]):
    assert "score 6.0 is enough \\| for now." in pages[0]
    assert re.search(r"In production: model-registry/Best \w{8} → \*\*model-registry/Best \w{8}\*\*", pages[0])
    assert "score 6.0 is enough | for now." in Page(pages[1]).text


def test_what_ran_is_told_with_its_reason(pages: tuple[str, str]):
    assert re.search(r"- \*\*clean\*\*: raw.csv: \w{8} → \w{8}$", pages[0], flags=re.MULTILINE)
    assert re.search(r"- \*\*fit\*\*: params.yaml rate: 0.5 → 2.0; clean.csv: ", pages[0])


def test_curves_are_drawn_with_those_of_the_base(pages: tuple[str, str]):
    assert "curve.csv: loss ends at 0.5 (before 0.125)" in pages[0]
    assert "  line [2, 1, 0.666667, 0.5]" in pages[0]
    assert len(re.findall(r"<polyline class=\"line-0( base)?\"", pages[1])) == 2
    assert "loss, base: 0.5 to 0.125; loss: 2 to 0.5" in pages[1]


def test_the_lineage_is_there_in_both_forms(pages: tuple[str, str]):
    assert "```mermaid\nflowchart TD\n" in pages[0]
    assert '<svg xmlns="http://www.w3.org/2000/svg" class="lineage" role="img"' in pages[1]


def test_the_page_loads_nothing_and_closes_what_it_opens(pages: tuple[str, str]):
    page = Page(pages[1])
    assert page.loaded == []
    assert page.open == []
    assert "<script" not in pages[1]
    assert "prefers-color-scheme: dark" in pages[1]


@pytest.mark.slow
def test_an_unknown_base_is_refused(history: Clone):
    done = history.run(*REPORT, "--base", "nowhere", ok=False)
    assert done.code == 1
    assert "there is no revision 'nowhere' here" in done.text


@pytest.mark.slow
def test_a_pull_request_is_held_against_its_target(history: Clone):
    history.git("update-ref", "refs/remotes/origin/target", "HEAD~2")
    try:
        shown = history.run(*REPORT, env={"GITHUB_BASE_REF": "target"}).text
    finally:
        history.git("update-ref", "-d", "refs/remotes/origin/target")
    assert "Held against origin/target (" in shown


@pytest.mark.slow
def test_a_merge_request_is_held_against_the_commit_that_it_started_from(history: Clone):
    base = history.git("rev-parse", "HEAD~2").strip()
    shown = history.run(*REPORT, env={"CI_MERGE_REQUEST_DIFF_BASE_SHA": base}).text
    assert f"Held against {base[:10]} ({base[:7]})" in shown


@pytest.mark.slow
def test_without_a_base_it_is_the_commit_before_or_head_where_something_changed(history: Clone):
    before = history.git("rev-parse", "--short=7", "HEAD~1").strip()
    head = history.git("rev-parse", "--short=7", "HEAD").strip()
    assert f"Held against HEAD\\~1 ({before})" in history.run(*REPORT).text
    (history.path / "params.yaml").write_text("rate: 2.5\n")
    try:
        assert f"Held against HEAD ({head})" in history.run(*REPORT).text
    finally:
        history.git("checkout", "--", "params.yaml")


@pytest.mark.slow
def test_a_confusion_matrix_a_picture_and_hostile_names_are_shown_as_they_are(tmp_path: Path):
    project = project_in(tmp_path / "<b>p|q")
    project.run("dvc", "init", "--quiet", "--no-scm")
    picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAX+XDSwAAAABJRU5ErkJggg=="
    (project.path / "draw.py").write_text(
        f"import base64\nopen('p.png', 'wb').write(base64.b64decode('{picture}'))\n"
        "open('c.csv', 'w').write('actual,predicted\\n<i>,<i>\\n<i>,b|c\\n10,9\\n9,9\\n')\n"
    )
    stage = {"cmd": "python draw.py", "deps": ["draw.py"], "plots": [{"p.png": {"cache": False}}, "c.csv"]}
    matrix = {"taken": {"template": "confusion", "x": "actual", "y": {"c.csv": "predicted"}}}
    (project.path / "dvc.yaml").write_text(json.dumps({"stages": {"draw": stage}, "plots": [matrix]}))
    project.run("dvc", "repro", "--quiet")
    away = {"WANDB_MODE": "disabled"}
    shown = project.run(*REPORT, "--html", "page.html", env=away).text
    page = Page(project.read("page.html"))
    assert "| | 9 | 10 | \\<i\\> | b\\|c |" in shown
    assert "| **\\<i\\>** |  |  | 1 | 1 |" in shown
    assert page.loaded == [f"data:image/png;base64,{picture}"]
    assert "<i>" in page.text
    assert "not asked" in shown
