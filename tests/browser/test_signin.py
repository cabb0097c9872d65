"""Signing in: a one-time address or a key lets in, nothing else does; who may only look changes nothing."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from .conftest import Site, Window

VERSION = "/registry/model?selectionPath=local%2Fmodel-registry%2FMNIST-dev&view=membership&version=v0"
Form = dict[str, str | float | bool]
KEYS = {"vera": "vera".ljust(40, "k"), "nobody": "nobody".ljust(40, "k"), "mika": "mika".ljust(40, "k")}


@pytest.fixture(scope="module")
def accounts(site: Site) -> dict[str, str]:
    """vera may look, mika may change, nobody belongs to nothing: their keys."""
    for name, key in KEYS.items():
        site.command("user", "add", name, "--api-key", key)
    for name, role in (("vera", "viewer"), ("mika", "member")):
        site.command("team", "add-member", "local", name, "--role", role)
    return KEYS


def sign_in(window: Window, key: str) -> None:
    window.page.get_by_label("API key").fill(key)
    window.page.get_by_role("button", name="Sign in").click()


def test_the_printed_address_signs_in_once(stranger: Window, site: Site):
    address = site.sign_in_url()
    page = stranger.open(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Projects")
    assert "token" not in page.url
    page.context.clear_cookies()
    page = stranger.open(address, status=403)
    expect(page.get_by_role("alert")).to_contain_text("This address was used already, or is too old.")
    stranger.check_access()


@pytest.mark.slow
def test_who_comes_from_an_address_goes_on_to_it(stranger: Window, site: Site):
    page = stranger.open(VERSION)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    stranger.check_access()
    stranger.check_width()
    sign_in(stranger, site.key)
    expect(page.get_by_role("heading", level=1)).to_have_text("MNIST-dev:v0")


@pytest.mark.slow
@pytest.mark.parametrize(
    "elsewhere", ["https://example.com/", "//example.com", "/\\example.com", "javascript:alert(1)"]
)
def test_nobody_is_sent_elsewhere_from_here(stranger: Window, site: Site, elsewhere: str):
    page = stranger.open(f"/login?next={quote(elsewhere, safe='')}")
    sign_in(stranger, site.key)
    expect(page.get_by_role("heading", level=1)).to_have_text("Projects")
    assert page.url == f"{site.url}/"


@pytest.mark.slow
def test_whom_wandb_login_sends_here_gets_a_key(stranger: Window, accounts: dict[str, str], site: Site):
    """The address that `wandb login --host` prints for a new API key was not found."""
    page = stranger.open("/authorize?ref=models")
    sign_in(stranger, accounts["vera"])
    page.get_by_role("button", name="Make an API key").click()
    key = page.get_by_label("API key").input_value()
    assert key not in accounts.values()
    stranger.check_access()
    stranger.check_width()
    asked = page.request.post(
        site.url + "/graphql",
        data={"query": "{ viewer { username } }"},
        headers={"Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode()},
    )
    assert asked.json() == {"data": {"viewer": {"username": "vera"}}}


def test_a_wrong_key_is_refused(stranger: Window):
    stranger.expected.add(403)
    page = stranger.open("/login")
    sign_in(stranger, "wrong")
    expect(page.get_by_role("alert")).to_have_text("No account has this key. Keys have 40 characters or more.")


@pytest.mark.slow
def test_signing_out_ends_the_session(stranger: Window, accounts: dict[str, str]):
    page = stranger.open("/login")
    sign_in(stranger, accounts["mika"])
    kept = page.context.cookies()
    page.get_by_text("Account mika").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert page.context.cookies() == []
    page.context.add_cookies(kept)  # type: ignore[arg-type]  # also for who has a copy of the cookie
    stranger.open("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.slow
def test_a_viewer_sees_everything_and_changes_nothing(stranger: Window, accounts: dict[str, str], site: Site):
    page = stranger.open("/login")
    sign_in(stranger, accounts["vera"])
    stranger.open(VERSION)
    expect(page.locator("#aliases")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Add|Remove"))).to_have_count(0)
    token = page.locator("input[name=token]").first.get_attribute("value")
    form: Form = {"do": "add-alias", "alias": "mine", "token": token or ""}
    refused = page.request.post(site.url + VERSION, form=form)
    assert refused.status == 403
    assert "it takes the role member, and this account is a viewer." in refused.text()


@pytest.mark.slow
def test_a_protected_alias_is_refused_in_words(stranger: Window, accounts: dict[str, str], site: Site):
    site.command("protect", "local/model-registry", "staging")
    page = stranger.open("/login")
    sign_in(stranger, accounts["mika"])
    stranger.open(VERSION)
    stranger.expected.add(403)
    page.get_by_role("button", name="Add alias").click()
    page.keyboard.type("staging")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Alias 'staging' is protected in 'local/model-registry'")
    expect(page.get_by_label("New alias")).to_have_value("staging")


@pytest.mark.slow
def test_who_belongs_to_nothing_finds_nothing(stranger: Window, accounts: dict[str, str]):
    page = stranger.open("/login")
    sign_in(stranger, accounts["nobody"])
    expect(page.get_by_role("heading", name="No project yet")).to_be_visible()
    stranger.check_access()
    stranger.open("/registry/model")
    expect(page.get_by_role("heading", name="No registered model yet")).to_be_visible()
    stranger.check_access()
    for address in (VERSION, "/local", "/local/vision", "/local/vision/artifacts/dataset/digits/v1/raw/kept.txt"):
        stranger.open(address, status=404)
    stranger.open("/search?q=train-2")
    expect(page.get_by_role("main")).to_contain_text("Nothing has “train-2” in it.")


# ---- forms that come from elsewhere ----


@pytest.fixture
def elsewhere(browser: Browser, site: Site, signed_in: dict) -> Iterator[Window]:
    """A browser that is signed in, and has a page of another site open."""
    context = browser.new_context(storage_state=signed_in)  # type: ignore[arg-type]
    page = context.new_page()
    fields = "<input name=do value=add-alias><input name=alias value=x>"
    form = f'<form method=post action="{site.url}{VERSION}">{fields}</form>'
    page.route("https://evil.example/", lambda route: route.fulfill(content_type="text/html", body=form))
    yield Window(page, site.url)
    context.close()


def test_a_form_of_another_site_is_refused(elsewhere: Window, site: Site):
    page = elsewhere.page
    page.goto("https://evil.example/")
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")
    assert re.search("Requests from pages of '.*' are refused.", page.content())
    assert 'aria-label="Remove alias x"' not in page.request.get(site.url + VERSION).text()


@pytest.mark.slow
@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_form_without_the_token_of_its_session_is_refused(window: Window, site: Site, token: str):
    form: Form = {"do": "add-alias", "alias": "x", "token": token}
    refused = window.page.request.post(site.url + VERSION, form=form)
    assert refused.status == 403
    assert "This form was not made by this page" in refused.text()
    signed_out = window.page.request.post(f"{site.url}/logout", form={"token": token}, max_redirects=0)
    assert signed_out.status == 403


@pytest.mark.slow
def test_nothing_may_run_but_the_scripts_of_the_registry(window: Window, site: Site):
    answer = window.page.request.get(site.url + VERSION)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    cookies = {cookie.get("name"): cookie for cookie in window.page.context.cookies()}
    session = next(cookie for name, cookie in cookies.items() if "session" in str(name))
    assert session.get("httpOnly") is True
    assert session.get("sameSite") == "Lax"
