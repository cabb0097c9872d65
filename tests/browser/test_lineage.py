"""The lineage of a project after several runs of its pipeline: stacks, chips, and the way to what is in production."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import Site, Window

pytestmark = pytest.mark.slow

SEED = """
import wandb

def log(run, name, type, text):
    made = wandb.Artifact(name, type)
    with made.new_file("f") as file:
        file.write(text)
    return run.log_artifact(made).wait()

with wandb.init(project="stacked", job_type="build", name="build") as run:
    code, data = log(run, "fit.py", "code", "code"), log(run, "digits", "dataset", "data")
for at in range(5):
    with wandb.init(project="stacked", job_type="train", name=f"train-{at}") as run:
        run.use_artifact(code)
        run.use_artifact(data)
        run.log({"table": wandb.Table(["a"], [[at]])})
        model = log(run, "net", "model", f"model {at}")
        if at == 3:
            run.link_artifact(model, "model-registry/Stacked", aliases=["production"])
        if at == 1:
            run.link_artifact(model, "model-registry/Stacked", aliases=["candidate"])
    with wandb.init(project="stacked", job_type="evaluate", name=f"evaluate-{at}") as run:
        run.use_artifact(model)
        log(run, "scores", "scores", f"scores {at}")
        if at == 3:
            for name in ("plot.csv", "matrix.csv", "mistakes.csv"):
                log(run, name, "report", name)
"""
LINEAGE = "/local/stacked/lineage"


@pytest.fixture(scope="module")
def stacked(site: Site) -> Site:
    site.script("-c", SEED)
    return site


def test_what_leads_to_production_stands_out_and_the_rest_is_stacked(stacked: Site, window: Window):
    page = window.open(LINEAGE)
    graph = page.locator(".graph .wide")
    expect(page.locator(".head").first).to_contain_text("in 11 nodes")
    on_the_way = ["run build", "dataset digits:v0", "run train-3, train, 1 code, 1 table", "model net:v3, production"]
    for name in on_the_way:
        expect(graph.get_by_role("link", name=name).locator("g.way")).to_have_count(1)
    expect(graph.locator("g.way")).to_have_count(len(on_the_way))
    expect(page.get_by_role("region", name="Way to production").get_by_role("link")).to_have_text(
        ["build", "digits:v0", "train-3", "net:v3"]
    )
    expect(graph.get_by_role("link", name="run train ×4, stacked, 4 finished, 1 code, 1 table")).to_be_visible()
    # nothing is to be chosen there
    expect(graph.locator(".few")).to_have_text(["evaluate ×4", "report ×3", "scores ×4"])
    page.get_by_role("link", name="Show code and tables").click()
    expect(graph.get_by_role("link", name="code fit.py:v0")).to_be_visible()


def test_the_graph_fits_a_window_and_is_readable_on_a_phone(stacked: Site, window: Window):
    page = window.open(f"{LINEAGE}?stack=no&chips=no")
    drawn = page.locator(".graph .wide")
    natural = float(drawn.get_attribute("width") or 0)
    room = page.locator(".graph").evaluate("box => box.clientWidth")
    assert drawn.evaluate("svg => svg.getBoundingClientRect().width") <= min(room, natural) + 1
    window.check_width()


def test_on_a_phone_the_graph_goes_from_left_to_right(stacked: Site, window: Window):
    page = window.open(LINEAGE)
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".graph .wide")).to_be_hidden()
    small = page.locator(".graph .narrow")
    names = ("run build", "dataset digits:v0", "run train-3", "model net:v3")
    boxes = [small.get_by_role("link", name=name).bounding_box() for name in names]
    assert all(boxes)
    lefts = [box["x"] for box in boxes if box]
    assert lefts == sorted(set(lefts))
    assert min(box["height"] for box in boxes if box) >= 40  # as large as a finger wants it
    expect(small.locator("g.way")).to_have_count(len(names))
    small.get_by_role("link", name="Unfold net v0–v4 ×4").click()
    expect(small.get_by_role("link", name="model net:v0")).to_be_visible()
    window.check_width()
    window.check_access()


def test_a_large_graph_scrolls_on_a_phone(stacked: Site, window: Window):
    page = window.open(f"{LINEAGE}?stack=no&chips=no")
    page.locator(".graph .narrow").evaluate("svg => { svg.parentNode.classList.remove('both'); svg.remove(); }")
    drawn = page.locator(".graph .wide")
    natural = float(drawn.get_attribute("width") or 0)
    page.set_viewport_size({"width": 390, "height": 844})
    assert drawn.evaluate("svg => svg.getBoundingClientRect().width") >= min(natural, 1100) - 1
    window.check_width()


def test_the_way_to_another_version_is_shown(stacked: Site, window: Window):
    page = window.open(LINEAGE)
    page.get_by_label("Path of").select_option("net:candidate")
    page.get_by_role("button", name="Show", exact=True).click()
    way = page.get_by_role("region", name="Way to net:candidate")
    expect(way.get_by_role("link")).to_have_text(["build", "digits:v0", "train-1", "net:v1"])
    expect(page.locator(".graph .wide").get_by_role("link", name="model net:v1").locator("g.way")).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Path of")).to_have_value(page.url.split("path=")[1].split("&")[0])


def test_fewer_runs_can_be_asked_for(stacked: Site, window: Window):
    page = window.open(f"{LINEAGE}?stack=no")
    expect(page.locator(".head").first).to_contain_text("11 runs")
    assert "20" in page.get_by_label("Newest").locator("option").all_text_contents()


def test_a_stack_is_opened_and_hidden_by_keys(stacked: Site, window: Window):
    page = window.open(LINEAGE)
    graph = page.locator(".graph .wide")
    graph.get_by_role("link", name="model net v0–v4 ×4, stacked").focus()
    page.keyboard.press("Enter")
    inside = page.get_by_role("region", name="net v0–v4 ×4")
    expect(inside.get_by_role("listitem")).to_have_text(["net:v0", "net:v1", "net:v2", "net:v4"])
    window.check_access()
    inside.get_by_role("link", name="Unfold here").press("Enter")
    expect(graph.get_by_role("link", name="model net:v1")).to_be_visible()
    page.go_back()
    inside.get_by_role("link", name="Hide").press("Enter")
    expect(graph.get_by_role("link", name="model net v0–v4")).to_have_count(0)
    page.get_by_role("link", name="Show 1 hidden").press("Enter")
    expect(graph.get_by_role("link", name="model net v0–v4")).to_be_visible()
