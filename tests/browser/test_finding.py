"""Runs are found by conditions over any column; what is found is kept as a view, and an execution is one row."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import Site, Window
from .test_signin import sign_in

pytestmark = pytest.mark.slow

SEED = """
import wandb
for at in range(4):
    config = {"lr": 0.1 / 10**at, "arch": "mlp" if at % 2 else "cnn"}
    tags = ["baseline"] if at < 3 else ["broken"]
    named = {"id": f"t{at}", "name": f"trial-{at}"}
    with wandb.init(project="found", job_type="train", config=config, tags=tags, **named) as run:
        run.log({"loss": 1.0 - at / 10})
        model = wandb.Artifact("found-net", "model")
        with model.new_file("w") as file:
            file.write(str(at))
        run.log_artifact(model).wait()
    if at < 2:
        with wandb.init(project="found", job_type="evaluate", id=f"e{at}", name=f"evaluate-{at}") as run:
            run.use_artifact(f"found-net:v{at}")
            run.log({"accuracy": 0.9 + at / 100})
            scores = wandb.Artifact("scores", "scores")
            with scores.new_file("s") as file:
                file.write(str(at))
            run.log_artifact(scores).wait()
        with wandb.init(project="found", job_type="promote", id=f"p{at}", name=f"promote-{at}") as run:
            run.use_artifact(f"scores:v{at}")
            run.use_artifact(f"found-net:v{at}")
            run.use_artifact("found-net:v0")
            run.summary["decision"] = ["promoted", "refused"][at]
"""
RUNS = "/local/found/runs"
WHERE = f"{RUNS}?where=tags+is+baseline&where=config.lr+%3C+0.5&where=job+is+train"
PAGES = {"conditions": WHERE, "executions": "/local/found/executions"}


@pytest.fixture(scope="module")
def found(site: Site) -> Site:
    site.script("-c", SEED)
    return site


def add(page: Page, column: str, comparison: str, value: str) -> None:
    page.locator("summary", has_text="+ Condition").click()
    page.get_by_label("Column", exact=True).fill(column)
    page.get_by_label("Comparison").select_option(comparison)
    page.get_by_label("Value", exact=True).fill(value)
    page.keyboard.press("Enter")


def names(page: Page) -> Locator:
    return page.locator("table.runs tbody th a")


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_a_page_is_accessible_and_narrow(found: Site, window: Window, address: str):
    window.open(address)
    window.check_access()
    window.check_width()


def test_several_conditions_over_any_column_hold_at_once(found: Site, window: Window):
    page = window.open(f"{RUNS}?sort=name&columns=chosen")
    add(page, "tags", "is", "baseline")
    add(page, "config.lr", "<", "0.05")
    add(page, "user", "is not", "nobody")
    expect(page.locator(".chip.cond")).to_have_count(3)
    expect(names(page)).to_have_text(["trial-1", "trial-2"])
    page.get_by_role("link", name="Remove condition config.lr").click()
    expect(names(page)).to_have_text(["trial-0", "trial-1", "trial-2"])
    add(page, "config.arch", "is", "mlp, rnn")
    expect(names(page)).to_have_text(["trial-1"])
    page.get_by_role("link", name="Clear all").click()
    expect(names(page)).to_have_count(8)


def test_a_view_is_saved_shared_and_opens_the_project(found: Site, window: Window):
    page = window.open(WHERE)
    page.locator("summary", has_text="View: all runs").click()
    page.get_by_label("Save this view as").fill("Good ones")
    page.get_by_label("the project opens with it").check()
    page.get_by_role("button", name="Save view").click()
    expect(page.locator("#views summary")).to_have_text("View: Good ones")
    window.open("/local/found")
    expect(page.locator(".chip.cond")).to_have_count(3)
    assert "view=Good+ones" in page.url
    page.get_by_role("link", name="Remove condition tags is baseline").click()
    expect(page.locator("#views summary")).to_contain_text("changed")
    window.open(f"{RUNS}?view=Good+ones")
    expect(page.locator(".chip.cond")).to_have_count(3)
    page.locator("#views summary").click()
    page.get_by_role("button", name="Remove view").click()
    expect(page.locator("#toast")).to_contain_text("View Good ones removed.")
    window.open("/local/found")
    expect(names(page)).to_have_count(8)
    window.open(f"{RUNS}?view=Good+ones", status=404)


def test_a_view_of_ones_own_is_seen_by_nobody_else(found: Site, window: Window, stranger: Window):
    page = window.open(WHERE)
    page.locator("summary", has_text="View: all runs").click()
    page.get_by_label("Save this view as").fill("Just mine")
    page.get_by_label("for me alone").check()
    page.get_by_role("button", name="Save view").click()
    expect(page.locator("#toast")).to_contain_text("View Just mine saved for you alone.")
    window.open(f"{RUNS}?own=Just+mine")
    expect(page.locator("#views summary")).to_have_text("View: Just mine")
    expect(page.locator(".chip.cond")).to_have_count(3)
    page.locator("#views summary").click()
    window.check_access()
    # A colleague has none of that name, and one who may only read keeps views too
    found.command("user", "add", "reader", "--api-key", "reader".ljust(40, "k"))
    found.command("team", "add-member", "local", "reader", "--role", "viewer")
    other = stranger.open("/login")
    sign_in(stranger, "reader".ljust(40, "k"))
    stranger.open(f"{RUNS}?own=Just+mine", status=404)
    stranger.open(WHERE)
    other.locator("summary", has_text="View: all runs").click()
    expect(other.get_by_role("link", name="Just mine")).to_have_count(0)
    expect(other.get_by_label("the project opens with it")).to_have_count(0)
    other.get_by_label("Save this view as").fill("To read")
    other.get_by_role("button", name="Save view").click()
    expect(other.locator("#views summary")).to_have_text("View: To read")
    page.get_by_role("button", name="Remove view").click()
    expect(page.locator("#toast")).to_contain_text("View Just mine removed.")
    expect(page.locator(".chip.cond")).to_have_count(3)  # what it showed can be saved again
    window.open(f"{RUNS}?own=Just+mine", status=404)


def test_on_a_phone_conditions_are_behind_a_button(found: Site, window: Window):
    page = window.open(WHERE)
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".chip.cond").first).to_be_hidden()
    page.get_by_text("Filters 3").click()
    expect(page.locator(".chip.cond").first).to_be_visible()
    page.locator("summary", has_text="+ Condition").click()
    expect(page.get_by_label("Column", exact=True)).to_be_in_viewport()


def test_an_execution_is_one_row(found: Site, window: Window):
    page = window.open("/local/found")
    page.get_by_role("link", name="Executions").click()
    rows = page.locator("table.runs tbody tr")
    expect(rows).to_have_count(2)
    heads = page.locator("table.runs thead th").all_inner_texts()
    row = dict(zip(heads, rows.nth(0).locator("th, td").all_inner_texts(), strict=True))
    told = {head.split("\n")[0]: text for head, text in row.items()}
    # its own training, not that of the champion it was held against
    assert (told["Last run"], told["lr"], told["accuracy"], told["decision"]) == (
        "promote-1",
        "0.01",
        "0.9100",
        "refused",
    )
    assert told["Runs"] == "train → evaluate → promote"
