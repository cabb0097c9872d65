"""Runs, their charts, tables and lineage, as a person sees them; a training that goes on grows before one's eyes."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from .conftest import DRAWN, Site, Window
from .seed_runs import EVIL

SEED = str(Path(__file__).parent / "seed_runs.py")
RUN = "/local/looks/runs/run0"
TABLE = "/local/looks/artifacts/dataset/data/v0/files/digits.table.json"
LINEAGE = "/local/looks/artifacts/dataset/data/v0/lineage"
PAGES = {
    "runs": "/local/looks/runs",
    "runs chosen": "/local/looks/runs?q=fit&key=summary.loss&is=%3C&value=1&sort=-summary.loss&column=config.lr",
    "no runs like that": "/local/looks/runs?q=nothing",
    "run": RUN,
    "drawn otherwise": f"{RUN}?axis=time&smooth=0.6",
    "charts": f"{RUN}/charts?metric=s",
    "media": f"{RUN}/media",
    "media of a key": f"{RUN}/media?key=digit",
    "logs": f"{RUN}/logs",
    "system": f"{RUN}/system",
    "files": f"{RUN}/files",
    "a file": f"{RUN}/files/wandb-metadata.json",
    "artifacts": f"{RUN}/artifacts",
    "compared": "/local/looks/compare?run=run0&run=run1&run=run2",
    "runs in groups, folded": "/local/looks/runs?by=group&fold=group%3Apair&hide=run0&log=loss&bars=summary.loss",
    "scatter": "/local/looks/runs?scatter=config.lr+summary.loss&lines=runs&by=group",
    "values": "/local/looks/values?metric=loss&run=run0&run=run1",
    "table": TABLE,
    "grid": f"{TABLE}?view=grid",
    "no rows like that": f"{TABLE}?q=nothing",
    "lineage of a version": LINEAGE,
    "lineage of a run": f"{RUN}/lineage?show=down&depth=1&zoom=50",
    "lineage of a project": "/local/looks/lineage",
}


@pytest.fixture(scope="module")
def runs(site: Site) -> Site:
    site.script(SEED)
    return site


def names(page: Page) -> Locator:
    return page.locator("tbody th a")


@pytest.mark.slow
@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_a_page_is_accessible_narrow_and_holds_no_script(runs: Site, window: Window, address: str):
    page = window.open(address)
    window.check_access()
    window.check_width()
    assert page.locator("h1").count() == 1
    assert page.locator(f"[style]{DRAWN}, script:not([src]), [onerror], img[src='x']").count() == 0


def condition(page: Page, column: str, comparison: str, value: str) -> None:
    page.locator("summary", has_text="+ Condition").click()
    page.get_by_label("Column", exact=True).fill(column)
    page.get_by_label("Comparison").select_option(comparison)
    page.get_by_label("Value", exact=True).fill(value)
    page.get_by_role("button", name="Add", exact=True).click()


def test_runs_are_sorted_searched_and_filtered_by_what_they_measured(runs: Site, window: Window):
    page = window.open("/local/looks/runs")
    expect(names(page)).to_have_text(["fit-2", "fit-1", "fit-0"])
    page.get_by_role("columnheader", name="last").get_by_role("link").click()
    expect(names(page)).to_have_text(["fit-2", "fit-1", "fit-0"])
    page.get_by_role("columnheader", name="last").get_by_role("link").click()
    expect(names(page)).to_have_text(["fit-0", "fit-1", "fit-2"])
    condition(page, "config.lr", "<", "0.06")
    expect(names(page)).to_have_text(["fit-1", "fit-2"])
    page.get_by_label("Search runs by a part").fill("FIT-2")
    page.keyboard.press("Enter")
    expect(names(page)).to_have_text(["fit-2"])
    page.reload()
    expect(names(page)).to_have_text(["fit-2"])
    condition(page, "nonsense", "is", "1")
    expect(page.get_by_role("alert")).to_contain_text("Runs have no column 'nonsense'.")


@pytest.mark.slow
def test_runs_stand_in_groups(runs: Site, window: Window):
    page = window.open("/local/looks/runs")
    page.get_by_label("Group by").select_option("group")
    page.get_by_role("button", name="Filter").click()
    rows = page.locator("table.runs tbody th")
    expect(rows).to_have_text(["pair 2 runs", "fit-2", "fit-1", "no group 1 run", "fit-0"])
    window.check_access()


@pytest.mark.slow
def test_columns_are_chosen(runs: Site, window: Window):
    page = window.open("/local/looks/runs")
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("checkbox", name="config.train.epochs").check()
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("columnheader", name="train.epochs")).to_be_visible()
    assert "7" in page.get_by_role("row", name="fit-2").inner_text()


@pytest.mark.slow
def test_runs_are_compared_in_the_same_charts(runs: Site, window: Window):
    page = window.open("/local/looks/runs")
    for name in ("fit-0", "fit-2"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".keys .key")).to_have_text(["fit-2", "fit-0"])
    expect(page.get_by_role("img", name="loss by step").locator("canvas")).to_be_visible()
    config = page.get_by_role("region", name="Config that differs")
    cells = config.get_by_role("row", name="lr").get_by_role("cell")
    expect(cells).to_have_text(["0.03333333333333333", "0.1"])  # as they were given
    loss = page.get_by_role("region", name="Summary that differs").get_by_role("row", name="loss")
    expect(loss.locator(".best")).to_contain_text("0.01613")


def test_a_run_shows_what_it_measured_said_used_and_made(runs: Site, window: Window):
    page = window.open(RUN)
    expect(page.get_by_role("heading", level=1)).to_have_text("fit-0")
    accuracy = page.get_by_role("img", name="accuracy by step")
    accuracy.scroll_into_view_if_needed()  # it is drawn when it comes into view
    expect(accuracy).to_have_attribute("data-points", "60")
    page.locator("select[name=axis]").select_option("time")
    page.wait_for_url("**axis=time**")
    expect(page.get_by_role("img", name="accuracy by time")).to_have_attribute("data-points", "60")
    picture = page.get_by_role("img", name="digit")
    expect(picture).to_be_visible()
    picture.scroll_into_view_if_needed()  # it is loaded when it comes into view
    expect(picture).to_have_js_property("naturalWidth", 28)
    expect(picture).to_have_css("image-rendering", "pixelated")
    sheet = page.get_by_role("img", name="sheet")  # small letters in a picture that is made smaller couldn't be read
    expect(sheet).to_have_css("image-rendering", "auto")
    named = page.get_by_role("region", name="Summary").locator("dt").all_inner_texts()
    assert named == sorted(named)  # as the SDK's program had them, they stood in any order
    matrix = page.get_by_role("group", name="confusion_table")
    expect(matrix.get_by_role("row", name="cat 1 1")).to_be_visible()
    page.get_by_role("link", name="data:v0").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("data")
    page = window.open(f"{RUN}/logs")
    expect(page.locator(".log")).to_contain_text(f"said by 0 {EVIL}")


@pytest.mark.slow
def test_media_are_shown_played_or_named(runs: Site, window: Window):
    page = window.open(RUN)
    # lists of sounds and pages, masks and boxes were not shown at all
    expect(page.get_by_role("img", name="segments with 1 mask and 1 box").locator("image")).to_have_count(2)
    expect(page.locator("figure", has_text="pages").locator("iframe")).to_have_count(2)
    sound = page.locator("audio")
    sound.evaluate("sound => sound.load()")
    assert page.request.get(window.url + str(sound.get_attribute("src"))).headers["content-type"] == "audio/wav"
    page.get_by_role("link", name="all 2 steps").press("Enter")  # frames that are still loading move what is below them
    expect(page.get_by_role("img", name="row")).to_have_count(2)
    page = window.open(f"{RUN}/files")
    page.get_by_role("link", name="wandb-metadata.json", exact=True).click()
    expect(page.locator("pre")).to_contain_text('"host"')


def test_every_metric_has_a_chart_that_tells_its_values(runs: Site, window: Window):
    page = window.open(f"{RUN}/charts")
    # one beneath another and one with letters beyond ASCII had none
    for name in ("deep.gain", "größe"):
        expect(page.get_by_role("img", name=f"{name} by step")).to_have_attribute("data-points", "1")
    page.get_by_role("img", name="accuracy by step").hover()
    expect(page.locator(".tip")).to_contain_text("fit-00.96")
    page.get_by_label("Charts by name").fill("acc")
    page.keyboard.press("Enter")
    expect(page.locator("figure.chart")).to_have_count(1)


@pytest.mark.slow
def test_the_console_has_the_colours_of_the_terminal_and_links_to_lines(runs: Site, window: Window):
    page = window.open(f"{RUN}/logs#L2")
    expect(page.locator(".log .c-red.c-bold")).to_have_text("red")
    expect(page.locator(".log li", has_text="100 %")).to_have_text(re.compile(r"\d\d:\d\d100 %"))
    expect(page.locator("li:target")).to_contain_text("red and plain")


@pytest.mark.slow
def test_a_number_that_no_database_holds_is_no_fault(runs: Site, window: Window):
    page = window.open(f"/local/looks?key=summary.last&is=%3C&value={'9' * 30}")
    expect(names(page)).to_have_count(3)  # it was a fault of the server


@pytest.mark.slow
def test_plots_of_the_sdk_are_drawn_and_one_of_ones_own_is_a_table(runs: Site, window: Window):
    page = window.open("/local/looks/runs/run0/media")

    def drawn(title: str) -> Locator:
        return page.locator("figure", has=page.locator("figcaption", has_text=title)).locator("svg")

    for title, mark, count in (
        ("Squares", "line", 2),
        ("Points", "symbol", 8),
        ("Gains", "rect", 2),
        ("ROC", "line", 2),
    ):
        figure = page.locator("figure", has=page.locator("figcaption", has_text=title))
        figure.scroll_into_view_if_needed()  # each is drawn when it comes into view
        expect(figure.locator(f"svg .mark-{mark}.role-mark path")).to_have_count(count)
    expect(drawn("Gains")).to_contain_text(EVIL[:10])
    page.get_by_role("link", name="Open table own_table").click()
    expect(page.locator(".foot")).to_contain_text("Rows 1–8 of 8")


@pytest.mark.slow
def test_a_table_that_a_run_logged_opens_with_its_pictures(runs: Site, window: Window):
    page = window.open("/local/looks/runs/run0/media")
    page.get_by_role("link", name="Open table table", exact=True).click()
    expect(page.locator("td.pic img").first).to_have_js_property("naturalWidth", 28)  # each was the word 'Image'


def test_a_table_is_paged_sorted_and_filtered_with_its_pictures(runs: Site, window: Window):
    page = window.open(TABLE)
    expect(page.locator(".foot")).to_contain_text("Rows 1–50 of 130")
    first = page.locator("td.pic img").first
    first.scroll_into_view_if_needed()
    expect(first).to_have_js_property("naturalWidth", 28)
    expect(page.locator("tbody tr").first).to_contain_text(EVIL)
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".foot")).to_contain_text("Rows 51–100 of 130")
    page.get_by_role("columnheader", name="number").get_by_role("link").click()
    page.get_by_role("columnheader", name="number").get_by_role("link").click()
    expect(page.locator("tbody tr").first).to_contain_text("129")
    page.locator(".facet").get_by_role("link", name="even").click()
    expect(page.locator(".foot")).to_contain_text("of 64")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download CSV").click()
    assert saved.value.suggested_filename == "digits.csv"
    with saved.value.path().open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert len(kept) == 64
    assert int(kept[0]["number"]) > int(kept[-1]["number"])
    page.get_by_role("link", name="Grid").click()
    expect(page.locator("figure img").first).to_be_visible()


def test_the_lineage_is_clicked_through(runs: Site, window: Window):
    page = window.open(LINEAGE)
    graph = page.locator(".graph")
    expect(graph.get_by_role("link", name="dataset data:v0, data/digits aaaaaaaa…")).to_be_visible()
    graph.get_by_role("link", name="run fit-1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("fit-1")
    page.get_by_role("link", name="Lineage", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lineage of fit-1")
    page.get_by_role("link", name="Upstream", exact=True).click()
    expect(page.locator(".graph").get_by_role("link", name="run fit-0")).to_be_visible()
    expect(page.locator(".graph").get_by_role("link", name="model weights:v0")).to_have_count(0)
    window.open("/local/looks")
    page.get_by_role("link", name="Lineage", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lineage of looks")
    for name in ("dataset data:v0", "run fit-0", "model weights:v0"):
        expect(page.locator(".graph").get_by_role("link", name=name)).to_be_visible()


@pytest.mark.slow
def test_a_slider_shows_any_step_of_a_key(runs: Site, window: Window):
    page = window.open(f"{RUN}/media")
    figure = page.locator("figure", has=page.get_by_label("Step of digit"))
    expect(figure).to_contain_text("2 of 2")
    expect(figure.get_by_role("img")).to_have_attribute("alt", "digit: row 4")
    page.get_by_label("Step of digit").focus()
    page.keyboard.press("ArrowLeft")
    expect(figure).to_contain_text("1 of 2")
    expect(figure.get_by_role("img")).to_have_attribute("alt", "digit: row 3")
    figure.get_by_role("link", name="Next step of digit").click()
    expect(figure).to_contain_text("2 of 2")
    expect(page.locator(".foot")).to_contain_text("Keys 1–")


@pytest.mark.slow
def test_the_console_is_searched_and_saved(runs: Site, window: Window):
    page = window.open(f"{RUN}/logs")
    page.get_by_label("Lines that contain").fill("AND PLAIN")
    page.keyboard.press("Enter")
    expect(page.locator(".foot")).to_contain_text("Lines 1–1 of 1")
    expect(page.locator(".log .c-red")).to_have_text("red")
    page.locator(".log a").click()
    expect(page.locator("li:target")).to_contain_text("red and plain")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download").click()
    assert saved.value.suggested_filename == "run0.log"
    assert f"said by 0 {EVIL}\n" in saved.value.path().read_text()


@pytest.mark.slow
def test_what_is_alike_is_one_node_that_unfolds_and_hides(runs: Site, window: Window):
    def ask(query: str, **variables: object) -> dict:
        body = {"query": query, "variables": variables}
        answer = requests.post(f"{runs.url}/graphql", json=body, auth=("api", runs.key), timeout=60).json()
        assert not answer.get("errors"), answer
        return answer["data"]

    version = ask(
        'query { project(name: "looks", entityName: "local") { artifact(name: "data:v0") { id } } }'
    )["project"]["artifact"]["id"]  # fmt: skip
    where = {"entityName": "local", "projectName": "alike"}
    for number in range(4):
        made = {"entityName": "local", "modelName": "alike", "name": f"r{number}", "jobType": "score"}
        ask("mutation R($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }", i=made)
        use = {**where, "runName": f"r{number}", "artifactID": version}
        ask("mutation U($i: UseArtifactInput!) { useArtifact(input: $i) { artifact { id } } }", i=use)
    page = window.open("/local/alike/lineage")
    graph = page.locator(".graph .wide")
    expect(page.locator(".head").first).to_contain_text("1 artifact, 4 runs in 2 nodes")
    graph.get_by_role("link", name="run score ×4, stacked").focus()
    page.keyboard.press("Enter")
    inside = page.get_by_role("region", name="score ×4")
    expect(inside.get_by_role("listitem")).to_have_count(4)
    window.check_access()
    graph.get_by_role("link", name="Unfold score ×4").click()
    expect(graph.locator(".runs")).to_have_count(4)
    page.get_by_role("link", name="Stack again").click()
    page.get_by_role("link", name="Hide score").click()
    expect(graph.locator(".runs")).to_have_count(0)
    page.get_by_role("link", name="Show 1 hidden").click()
    expect(graph.locator(".runs")).to_have_count(1)
