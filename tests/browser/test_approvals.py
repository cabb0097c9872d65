"""A second person's yes in the pages: by keyboard, without scripts, on a phone, and with nothing that axe finds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from .conftest import Site, Window
from .test_signin import sign_in

pytestmark = pytest.mark.slow
MODEL = "/registry/model?selectionPath=local%2Fmodel-registry%2FJudged"
REQUEST, VERSION = f"{MODEL}&view=request", f"{MODEL}&view=membership&version=v1"
KEY = "judge".ljust(40, "k")
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
