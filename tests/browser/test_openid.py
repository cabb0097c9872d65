"""Signing in at a provider in a real browser: its rules on cookies and forms allow the way there and back."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.engines import identity_provider
from tests.engines.proxy import HOST, behind_nginx, free_port
from tests.wandb_registry.openid_place import FILE, make_team

from .conftest import Window


@pytest.mark.slow
def test_a_person_signs_in_at_the_provider_and_out_at_both(browser: Browser, tmp_path: Path):
    make_team(tmp_path / "store")
    port = free_port(HOST)
    url, file = f"https://{HOST}:{port}/team/wandb", tmp_path / "openid.toml"
    with identity_provider.running(tmp_path, url, secret=None) as provider:
        file.write_text(FILE.format(issuer=provider.url))
        with behind_nginx(tmp_path, "/team/wandb", "--openid", str(file), outer=port):
            provider.know("mika", "ml")
            context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
            window = Window(context.new_page(), f"https://{urlsplit(url).netloc}")
            page = window.open("/team/wandb/settings")
            window.check_access()
            window.check_width()
            page.get_by_role("link", name="Sign in at Example").click()
            page.get_by_placeholder("Enter any login").fill("mika")
            page.get_by_placeholder("and password").fill("any")
            page.get_by_role("button", name="Sign-in").click()
            expect(page).to_have_url(f"{url}/settings")
            expect(page.get_by_text(f"at {provider.url}, last")).to_be_visible()
            window.check_access()
            page.locator("summary").filter(has_text="mika").first.click()
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_text("You are signed out here.")).to_be_visible()
            window.check_access()
            page.get_by_role("link", name="sign out there too").click()
            page.get_by_role("button", name="Yes, sign me out").click()
            expect(page.get_by_text("Sign-out Success")).to_be_visible()
            page.goto(f"{url}/login")
            page.get_by_role("link", name="Sign in at Example").click()
            expect(page.get_by_placeholder("Enter any login")).to_be_visible()
            provider.know("eve", "another")
            page.get_by_placeholder("Enter any login").fill("eve")
            page.get_by_placeholder("and password").fill("any")
            page.get_by_role("button", name="Sign-in").click()
            expect(page.get_by_role("alert")).to_contain_text("'eve' is in no group of")
            window.check_access()
            context.close()
