"""Registered models: six clicks promote a version, also without a mouse and without scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import Site, Window

MODEL = "/registry/model?selectionPath=local%2Fmodel-registry%2FMNIST-dev"
VERSION = MODEL + "&view=membership&version=v{}"
WHERE = """
import json, wandb
versions = wandb.Api().artifacts("model", "model-registry/MNIST-dev")
print(json.dumps({version.version: sorted(version.aliases) for version in versions}))
"""


@pytest.fixture
def promoted_back(window: Window) -> Iterator[None]:
    """Whatever the test promotes, the others find v1 in production."""
    yield
    address = window.url + VERSION.format(1)
    token = re.search('name="token" value="([0-9a-f]+)"', window.page.request.get(address).text())
    assert token
    done = window.page.request.post(address, form={"do": "add-alias", "alias": "production", "token": token[1]})
    assert done.status == 200


def aliases(site: Site) -> dict[str, list[str]]:
    """The aliases of each version, as the SDK finds them."""
    return json.loads(site.script("-c", WHERE))


def version_row(page: Page, version: str):
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=version, exact=True))


@pytest.mark.usefixtures("promoted_back")
def test_six_clicks_promote_a_version(window: Window, site: Site):
    page = window.open("/registry/model")
    page.get_by_role("link", name="View details of MNIST-dev").click()
    page.get_by_role("region", name="Versions").get_by_role("link", name="View v2").click()
    overview = page.locator("#aliases")
    overview.get_by_role("button", name="Add alias").click()
    page.keyboard.type("production")
    page.keyboard.press("Enter")

    expect(overview.locator(".chip", has_text="production")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("production moved from v1 to v2.")
    expect(page.locator("#activity li").first).to_contain_text("moved production from v1 to v2")
    expect(page.get_by_role("navigation", name="Versions").get_by_text("production")).to_have_count(1)
    assert aliases(site) == {"v0": [], "v1": [], "v2": ["latest", "production"]}
    page.reload()
    expect(overview.locator(".chip", has_text="production")).to_be_visible()


@pytest.mark.slow
@pytest.mark.usefixtures("promoted_back")
def test_the_keyboard_alone_promotes(window: Window):
    page = window.open("/registry/model")

    def tab_to(name: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent.replace(/\\s+/g, ' ').trim()") == name:
                return
        raise AssertionError(f"Tab never comes to '{name}'")

    tab_to("View details of MNIST-dev")
    page.keyboard.press("Enter")
    page.wait_for_url("**selectionPath**")
    tab_to("View v2")
    page.keyboard.press("Enter")
    page.wait_for_url("**version=v2**")
    tab_to("+ Add alias")
    page.keyboard.press("Enter")
    page.keyboard.type("never")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "open-alias"
    page.keyboard.press("Enter")
    page.keyboard.type("production")
    page.keyboard.press("Enter")
    expect(page.locator("#aliases .chip", has_text="production")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "open-alias"  # focus isn't lost after the swap
    window.open(MODEL)
    expect(version_row(page, "v2").get_by_text("production")).to_be_visible()
    expect(version_row(page, "v1").get_by_text("production")).to_have_count(0)


@pytest.mark.usefixtures("promoted_back")
def test_it_works_without_scripts(browser: Browser, site: Site, signed_in: dict):
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(site.url + VERSION.format(0))
    page.get_by_label("New alias").fill("production")
    page.get_by_label("New alias").press("Enter")
    expect(page.locator("#aliases .chip", has_text="production")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("production moved from v1 to v0.")
    page.reload()
    expect(page.get_by_role("status")).to_have_text("")
    context.close()


@pytest.mark.slow
def test_a_refusal_stays_beside_the_field_with_what_was_typed(window: Window):
    window.expected.add(400)
    page = window.open(VERSION.format(0))
    page.locator("#aliases").get_by_role("button", name="Add alias").click()
    page.keyboard.type("v7")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(
        "Alias 'v7' is reserved for version numbers. Choose a word, such as 'candidate'."
    )
    expect(page.get_by_label("New alias")).to_have_value("v7")
    expect(page.get_by_label("New alias")).to_be_focused()
    window.check_access()


@pytest.mark.slow
def test_an_alias_and_a_tag_come_and_go(window: Window):
    page = window.open(VERSION.format(0))
    for kind in ("alias", "tag"):
        page.get_by_role("button", name=f"Add {kind}").click()
        page.keyboard.type("candidate")
        page.keyboard.press("Enter")
        remove = page.get_by_role("button", name=f"Remove {kind} candidate")
        expect(remove).to_be_visible()
        remove.click()
        expect(remove).to_have_count(0)


@pytest.mark.slow
def test_a_registered_model_shows_its_versions_side_by_side(window: Window):
    page = window.open(MODEL)
    best = version_row(page, "v2")
    expect(best.locator("td.best")).to_have_text(["0.9300 (best)", "0.2800 (best)"])
    expect(version_row(page, "v1").get_by_text("production")).to_be_visible()
    expect(version_row(page, "v0")).to_contain_text("digits:v0")
    expect(page.get_by_role("columnheader", name="train.epochs")).to_be_visible()
    expect(page.get_by_role("columnheader", name="batch_size")).to_have_count(0)  # the same for all
    expect(page.locator("#activity")).to_contain_text("linked v2")


@pytest.mark.slow
def test_two_ticked_versions_are_compared(window: Window):
    page = window.open(MODEL)
    page.get_by_label("Select v2").check()
    page.get_by_label("Select v0").check()
    page.get_by_role("button", name="Compare selected").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("v0 → v2")
    files = page.get_by_role("region", name="Files")
    expect(files.get_by_role("row", name="model.h5")).to_contain_text("changed")
    expect(page.get_by_role("region", name="Metrics").get_by_role("row", name="accuracy")).to_contain_text(
        "+0.0200 better"
    )
    expect(page.get_by_role("region", name="Metrics").get_by_role("row", name="loss")).to_contain_text("−0.0200 better")
    expect(page.get_by_role("region", name="Facts")).to_contain_text("config.train.epochs")
    expect(page.get_by_role("region", name="Inputs").get_by_role("row", name="digits")).to_contain_text("differs")
    expect(page.locator(".keys .key")).to_have_text(["v0", "v2"])
    expect(page.get_by_role("img", name="loss by step").locator("canvas")).to_be_visible()
    page.get_by_role("link", name="Swap").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("v2 → v0")


@pytest.mark.slow
def test_the_address_of_a_version_that_is_not_there_says_what_is(window: Window):
    page = window.open(VERSION.format(9), status=404)
    expect(page.get_by_role("main")).to_contain_text("'MNIST-dev' has no version 'v9'. Its newest version is v2")
