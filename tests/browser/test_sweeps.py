"""The page of a sweep: what was tried, what came of it, and the buttons that pause, stop and cancel."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from .conftest import Site, Window

pytestmark = pytest.mark.slow

SEED = """
import math, wandb
def make(**config):
    return wandb.sweep(config, project="swept")
space = {"lr": {"values": [0.1, 0.01, 0.001]}, "arch": {"values": ["cnn", "mlp", "<b>odd</b>"]}}
sweep = make(name="Tried", method="grid", metric={"name": "score", "goal": "maximize"}, parameters=space)
def trial():
    with wandb.init() as run:
        run.log({"score": (run.config.arch == "cnn") - abs(math.log10(run.config.lr) + 2)})
wandb.agent(sweep, function=trial, project="swept", count=9)
bare = make(method="random", parameters={"x": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1}})
print(sweep, bare)
"""


@pytest.fixture(scope="module")
def swept(site: Site) -> tuple[str, str]:
    """The addresses of a grid of nine runs, and of a sweep without runs and metric."""
    first, second = site.script("-c", SEED).split()[-2:]
    return f"/local/swept/sweeps/{first}", f"/local/swept/sweeps/{second}"


def test_the_sweeps_of_a_project_lead_to_their_pages(swept: tuple[str, str], window: Window):
    page = window.open("/local/swept")
    page.get_by_role("navigation", name="Project").get_by_role("link", name="Sweeps").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    window.check_access()
    window.check_width()
    page.get_by_role("link", name="Tried").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tried")
    expect(page.locator(".stats")).to_contain_text("9 of 9")
    expect(page.locator(".stats")).to_contain_text(re.compile(r"Best score\s*1\b"))
    expect(page.locator(".para polyline")).to_have_count(9)
    expect(page.get_by_role("region", name="What matters for score")).to_contain_text("arch = <b>odd</b>")
    expect(page.locator("#sweep tr.current .best")).to_have_text("1")
    window.check_access()
    window.check_width()


def test_dragging_along_an_axis_chooses_a_range(swept: tuple[str, str], window: Window):
    page = window.open(swept[0])
    axis = page.locator('[data-axis="score"] .hit').bounding_box()
    assert axis
    across = axis["x"] + axis["width"] / 2
    page.mouse.move(across, axis["y"] + 2)
    page.mouse.down()
    page.mouse.move(across, axis["y"] + axis["height"] * 0.35, steps=4)
    page.mouse.up()
    chip = page.locator(".chip.cond")
    expect(chip).to_contain_text("score from")
    inside = page.locator(".para polyline:not(.out)")
    expect(inside).to_have_count(1)  # results are 1, four times 0, and less
    expect(page.get_by_text("1 of 9 runs")).to_be_visible()
    expect(page.locator("[aria-labelledby=h-runs] tbody tr")).to_have_count(1)
    page.get_by_role("link", name="mlp").click()
    expect(page.get_by_text("No run lies in these ranges.")).to_be_visible()
    page.get_by_role("link", name="Remove the range on score").click()
    expect(inside).to_have_count(3)
    page.reload()
    expect(inside).to_have_count(3)


def test_a_range_is_typed_without_scripts(swept: tuple[str, str], browser: Browser, signed_in: dict, site: Site):
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(site.url + swept[0])
    page.locator("summary", has_text="Ranges").click()
    page.get_by_label("Axis").select_option("lr")
    page.get_by_label("From", exact=True).fill("0.02")
    page.get_by_label("To", exact=True).fill("0.005")
    page.get_by_role("button", name="Choose").click()
    expect(page.locator(".chip.cond")).to_contain_text("lr from 0.005 to 0.02")
    expect(page.locator(".para polyline:not(.out)")).to_have_count(3)
    context.close()


def test_a_sweep_is_paused_resumed_and_stopped(swept: tuple[str, str], window: Window):
    page = window.open(swept[1])
    expect(page.get_by_text("No agent has started a run yet.")).to_be_visible()
    expect(page.get_by_text("This sweep names no metric")).to_be_visible()
    window.check_access()
    badge = page.locator(".head .badge").first
    page.get_by_role("button", name="Pause sweep").press("Enter")
    expect(badge).to_have_text("paused")
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(badge).to_have_text("running")
    page.get_by_role("button", name="Pause sweep").click()
    page.get_by_role("button", name="Resume sweep").click()
    expect(badge).to_have_text("running")
    page.get_by_role("link", name="Cancel…").click()
    expect(page.get_by_text("Runs under way are killed. This can't be undone.")).to_be_visible()
    page.get_by_role("link", name="Cancel", exact=True).click()
    expect(badge).to_have_text("running")
    page.get_by_role("link", name="Stop…").click()
    page.get_by_role("button", name="Stop sweep").click()
    expect(badge).to_have_text("finished")
    expect(page.get_by_role("link", name="Stop…")).to_have_count(0)
    window.open("/local/swept/sweeps/nope", status=404)
