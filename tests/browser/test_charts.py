"""The charts of runs, as a person reads them: cross-hair, zoom, log scale, eye, groups, full size, and no scripts."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .conftest import Site, Window

SEED = str(Path(__file__).parent / "seed_runs.py")
RUNS = "/local/defined/runs"


@pytest.fixture(scope="module")
def defined(site: Site) -> Site:
    """Two runs of 601 steps; seed_runs.py tells what is in them."""
    site.script(SEED, "define")
    return site


def chart(page: Page, name: str) -> Locator:
    """A chart, once its lines are there."""
    found = page.get_by_role("img", name=name, exact=True)
    found.scroll_into_view_if_needed()
    expect(found.locator("canvas")).to_be_visible()
    return found


def drag(page: Page, plot: Locator, begin: float, end: float) -> None:
    """Drags from one share of a chart's width to another."""
    box = plot.locator(".u-over").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * begin, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (begin + end) / 2, y)
    page.mouse.move(box["x"] + box["width"] * end, y)
    page.mouse.up()


@pytest.mark.slow
def test_each_metric_lies_over_the_axis_that_it_was_defined_with(defined: Site, window: Window):
    page = window.open(RUNS)
    expect(page.get_by_role("img", name="val/loss by epoch")).to_be_visible()
    expect(page.get_by_role("img", name="peak by step")).to_be_visible()
    expect(page.locator("figure", has_text="secret")).to_have_count(0)  # hidden=True
    page.locator("select[name=axis]").select_option("time")
    expect(page.get_by_role("img", name="val/loss by time")).to_be_visible()
    page.reload()
    expect(page.get_by_role("img", name="val/loss by time")).to_be_visible()


def test_the_cross_hair_is_shared_and_its_values_stand_beside_it(defined: Site, window: Window):
    page = window.open(f"{RUNS}?axis=step")
    for name in ("epoch by step", "peak by step"):
        chart(page, name)
    chart(page, "peak by step").locator(".u-over").hover(position={"x": 60, "y": 40})
    tip = page.locator(".tip")
    expect(tip).to_contain_text("epochs-0")
    expect(tip.locator("li").first).to_have_text(re.compile(r"^step [\d,]+$"))  # a whole number
    crosses = page.locator(".cross")
    assert crosses.count() >= 2, "one in each chart of the axis"
    beside, line = tip.bounding_box(), page.locator("[aria-label='peak by step'] .cross").bounding_box()
    assert beside
    assert line
    assert not beside["x"] <= line["x"] <= beside["x"] + beside["width"], "it doesn't cover what it tells of"


def test_a_drag_zooms_all_charts_of_the_axis_and_a_double_click_goes_back(defined: Site, window: Window):
    page = window.open(RUNS)
    peak = chart(page, "peak by step")
    with page.expect_response(lambda answer: "from=" in answer.url):  # finer lines of the part in sight
        drag(page, peak, 0.25, 0.5)
    assert "x=step%3A" in page.url
    expect(page.locator("#said")).to_contain_text("Zoomed to step ")
    page.reload()
    peak = chart(page, "peak by step")
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    peak.locator(".u-over").dblclick()
    expect(page.get_by_role("button", name="Reset zoom")).to_be_hidden()
    assert "x=" not in page.url


@pytest.mark.slow
def test_a_log_scale_says_what_has_no_place_on_it(defined: Site, window: Window):
    page = window.open(RUNS)
    figure = page.locator("figure", has=chart(page, "peak by step"))
    expect(figure).to_contain_text("2 values not drawn: NaN, infinite, or beyond 1e300.")
    log = figure.get_by_role("button", name="log scale of peak")
    log.click()
    expect(log).to_have_attribute("aria-pressed", "true")
    expect(figure).to_contain_text("Values of zero and less have no place on a log scale.")
    assert "log=peak" in page.url
    page.reload()
    expect(log).to_have_attribute("aria-pressed", "true")


@pytest.mark.slow
def test_an_eye_hides_a_run_from_all_charts(defined: Site, window: Window):
    page = window.open(RUNS)
    peak = chart(page, "peak by step")
    eye = page.get_by_role("button", name="Draw epochs-1")
    eye.click()
    expect(eye).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_text("1 of 2 on this page drawn")).to_be_visible()
    peak.locator(".u-over").hover(position={"x": 60, "y": 40})
    expect(page.locator(".tip")).to_contain_text("epochs-0")
    expect(page.locator(".tip")).not_to_contain_text("epochs-1")
    assert "hide=d1" in page.url
    eye.click()
    expect(eye).to_have_attribute("aria-pressed", "true")


@pytest.mark.slow
def test_a_group_is_its_mean_and_range_and_folds(defined: Site, window: Window):
    page = window.open(f"{RUNS}?by=group")
    chart(page, "peak by step").locator(".u-over").hover(position={"x": 60, "y": 40})
    expect(page.locator(".tip b")).to_have_count(1)
    expect(page.locator(".tip")).to_contain_text("both")
    fold = page.locator("table.runs").get_by_role("button", name="both")
    fold.click()
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(page.locator("tr[data-run]")).to_have_count(0)
    page.get_by_role("link", name="A line a run").click()
    chart(page, "peak by step").locator(".u-over").hover(position={"x": 60, "y": 40})
    expect(page.locator(".tip b")).to_have_count(2)


def test_the_keyboard_alone_reads_zooms_and_opens_a_chart(defined: Site, window: Window):
    page = window.open(RUNS)
    peak = chart(page, "peak by step")
    said = page.locator("#said")
    peak.focus()
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("step 0: ")
    page.keyboard.press("ArrowRight")
    expect(said).not_to_contain_text("step 0: ")
    page.keyboard.press("+")
    expect(said).to_contain_text("Zoomed to step ")
    page.keyboard.press("Escape")
    expect(said).to_contain_text("Whole range")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="peak")
    expect(dialog.get_by_role("row", name="epochs-1")).to_contain_text("9.000")  # the peak is not lost
    window.check_access()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(peak).to_be_focused()


@pytest.mark.slow
def test_a_chart_is_saved_as_a_picture_and_as_all_its_values(defined: Site, window: Window):
    page = window.open(RUNS)
    chart(page, "peak by step")
    page.get_by_role("button", name="peak at full size").click()
    dialog = page.get_by_role("dialog", name="peak")
    expect(dialog.get_by_role("row", name="epochs-1")).to_be_visible()
    with page.expect_download() as saved:
        dialog.get_by_role("button", name="PNG").click()
    assert saved.value.path().read_bytes()[:4] == b"\x89PNG"
    with page.expect_download() as saved:
        dialog.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(saved.value.path().read_text())))
    assert len(rows) == 1200
    assert [row["peak"] for row in rows if row["id"] == "d1" and row["step"] == "434"] == ["9.0"]


@pytest.mark.slow
def test_without_scripts_eyes_and_folds_work_and_a_table_has_all_values(
    defined: Site, browser: Browser, signed_in: dict
):
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.goto(f"{defined.url}{RUNS}?by=group")
        page.get_by_role("button", name="Draw epochs-1").click()
        assert page.url.endswith("hide=d1")
        expect(page.get_by_role("button", name="Draw epochs-1")).to_have_attribute("aria-pressed", "false")
        page.get_by_role("button", name="values of val/loss").click()
        expect(page.locator(".foot")).to_contain_text("Values 1–500 of 1,200")
        expect(page.locator("thead")).to_contain_text("Epoch")
        expect(page.locator("tbody tr").first).to_have_text(re.compile(r"epochs-1\s*00\.5"))
    finally:
        context.close()


@pytest.mark.slow
def test_bars_and_scatter_plots_are_of_any_columns(defined: Site, window: Window):
    page = window.open(RUNS)
    page.locator("select[name=bars]").select_option("summary.epoch")
    page.get_by_role("button", name="Add bars").click()
    expect(page.get_by_role("img", name="Bars of summary.epoch").locator("rect")).to_have_count(2)
    page.locator("select[name=across]").select_option("summary.epoch")
    page.locator("select[name=up]").select_option("summary.val/loss.min")
    page.get_by_role("button", name="Add scatter").click()
    scatter = page.get_by_role("img", name="val/loss.min by epoch, a point a run")
    expect(scatter.locator("circle")).to_have_count(2)
    expect(page.get_by_role("img", name="Bars of summary.epoch")).to_be_visible()  # both are in the address


MACHINE = """
import time, wandb
with wandb.init(project="machine", id="m", settings=wandb.Settings(x_stats_sampling_interval=0.5)) as run:
    run.log({"loss": 1})
    time.sleep(4)
"""


@pytest.mark.slow
def test_the_machine_of_a_run_is_drawn_by_time(site: Site, window: Window):
    """No chart had a point: what the machine measures has no step."""
    site.script("-c", MACHINE)
    page = window.open("/local/machine/runs/m/system")
    chart = page.get_by_role("img", name=re.compile("^system.* by time$")).first
    expect(chart).to_have_attribute("data-points", re.compile("[1-9]"))
    page = window.open("/local/machine")
    expect(page.get_by_role("region", name="Charts system")).to_be_visible()
