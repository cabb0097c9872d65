"""A second person's yes in the pages: by keyboard, without scripts, on a phone, and with nothing that axe finds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, expect

from .conftest import Site, Window
from .test_signin import sign_in

pytestmark = pytest.mark.slow
MODEL = "/registry/model?selectionPath=local%2Fmodel-registry%2FJudged"
REQUEST, VERSION = f"{MODEL}&view=request", f"{MODEL}&view=membership&version=v1"
KEY = "judge".ljust(40, "k")
GATE = """
import numpy as np, wandb
table = wandb.Table(columns=["picture", "image", "label", "champion", "candidate"])
answers = ["494", "949", "557", "667", "122", "388"]
for at, (label, champion, candidate) in enumerate(answers):
    table.add_data(at, wandb.Image(np.full((28, 28), 40 * at, "uint8")), label, champion, candidate)
with wandb.init(project="vision", job_type="promote_model") as run:
    run.log({"disagreements_table": table})
    record = wandb.Artifact("decided", "record")
    with record.new_file("record.json") as file:
        file.write("{}")
    run.log_artifact(record).wait()
"""
ASK = """mutation Ask($facts: JSONString!) { requestPromotion(input: {entityName: "local",
  projectName: "model-registry", artifactCollectionName: "Judged", version: "v0",
  alias: "production", reason: "the gate", facts: $facts}) { request { id } } }"""
NUMBERS = {"promoted": False, "accuracy": 0.92, "champion_accuracy": 0.92, "min_accuracy": 0.9, "loss": 0.7}
NUMBERS |= {"max_loss": 0.5, "only_candidate_right": 2, "only_champion_right": 2, "p_value": 1.0, "digits": 50}
FACTS = {"decision": "right on 2 more", "decided_by": "gate", "record": "local/vision/decided:v0", "numbers": NUMBERS}
MADE = """
import wandb
for number in (0, 1):
    model = wandb.Api().artifact(f"vision/net:v{number}")
    model.link("model-registry/Judged", aliases=["production"] if number == 0 else [])
"""


@pytest.fixture(scope="module")
def judge(browser: Browser, site: Site) -> Iterator[Window]:
    """A second person, whose browser runs no scripts, and a model with `production` on v0."""
    site.script("-c", MADE)
    site.command("user", "add", "judge", "--api-key", KEY)
    site.command("team", "add-member", "local", "judge", "--role", "member")
    context = browser.new_context(java_script_enabled=False)
    window = Window(context.new_page(), site.url)
    window.open("/login")
    sign_in(window, KEY)
    yield window
    assert not window.faults, window.faults
    context.close()


def test_one_asks_by_a_click_and_another_approves_without_scripts(window: Window, judge: Window):
    page = window.open(MODEL)
    page.get_by_role("link", name="Approval").click()
    page.get_by_role("button", name="Require it for production").press("Enter")
    expect(page.locator("#rules")).to_contain_text("of a person")
    window.open(REQUEST)
    window.check_access()
    window.open(VERSION)
    page.get_by_role("button", name="Add alias").press("Enter")
    page.keyboard.type("production")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("production on v1 waits for a second person's yes.")
    expect(page.locator("#aliases .chip", has_text="production")).to_have_count(0)
    page.locator("#waiting").get_by_role("link", name="Look and decide").press("Enter")
    expect(page.locator("#numbers")).to_contain_text("accuracy")
    expect(page.locator("#decide")).to_contain_text("somebody else approves or rejects it")
    window.check_access()
    window.check_width()
    window.open(MODEL)
    window.check_access()
    window.check_width()

    theirs = judge.open(REQUEST)
    theirs.get_by_label("Reason").fill("reads more of them")
    theirs.get_by_role("button", name="Approve").press("Enter")
    expect(theirs.locator("#ask")).to_contain_text("judge on")
    expect(theirs.locator("#ask")).to_contain_text("“reads more of them”")
    page.goto(page.url)
    expect(page.locator("tr.current")).to_contain_text("v1")
    expect(page.locator("#activity li", has_text="approved")).to_contain_text("judge approved production on v1")


def test_the_pictures_in_dispute_are_before_who_decides(window: Window, site: Site, judge: Window):
    site.script("-c", GATE)
    asked = {"query": ASK, "variables": {"facts": json.dumps(FACTS)}}
    answer = requests.post(f"{site.url}/graphql", json=asked, auth=("api", site.key), timeout=60).json()
    assert "errors" not in answer, answer
    theirs = judge.open(REQUEST)
    dispute = theirs.locator("#dispute")
    expect(dispute.get_by_role("heading", level=2)).to_have_text("In dispute")
    expect(dispute).to_contain_text("6 on which v1 and v0 disagree")
    groups = {name: dispute.locator("section", has_text=name) for name in ("only v0", "only v1", "neither")}
    expect(groups["only v0"].get_by_role("heading")).to_have_text("2 only v0 reads right")
    expect(groups["only v0"].locator("figcaption")).to_have_text(["4 read as 9", "9 read as 4"])
    expect(groups["only v1"].locator("figcaption")).to_have_text(["5 read as 7", "6 read as 7"])
    expect(groups["neither"].locator("figcaption")).to_have_text(["1 read as 2 and 2", "3 read as 8 and 8"])
    drawn = dispute.locator("img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth === 28)")
    assert drawn
    expect(theirs.locator("#evidence")).to_have_count(0)  # the table is in the grid, the pictures are the table's
    verdict = theirs.locator("#verdict")
    expect(verdict.locator(".badge").first).to_have_text("does not pass")
    expect(verdict.get_by_role("row", name="accuracy")).to_contain_text("≥ 0.9000")
    expect(verdict.get_by_role("row", name="loss")).to_contain_text("no")
    expect(verdict.locator(".cm td")).to_have_text(["", "44", "2", "2", "2"])
    expect(verdict.get_by_role("img", name="2 only v0 gets right, 2 only v1")).to_be_visible()
    expect(verdict).to_contain_text("A fair coin splits 4 at least as unevenly with p = 1.000")
    expect(verdict.locator("dt.mono")).to_have_text(["digits"])
    window.open(REQUEST)
    window.check_access()
    window.check_width()
    dispute.get_by_role("link", name="All as a table").click()
    expect(theirs.locator("#main")).to_contain_text("candidate")
