"""The pages of a registry behind nginx with TLS, below a path: signing in, scripts, streams and cookies work there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.engines.proxy import behind_nginx

from .conftest import Window

RUN = """
import sys, wandb
run = wandb.init(project="below", name="goes-on", settings=wandb.Settings(x_disable_stats=True))
run.log({"loss": 1.0})
print(run.url, flush=True)
sys.stdin.readline()
run.log({"loss": 0.5})
run.finish()
"""


@pytest.mark.slow
def test_pages_below_a_path_work_as_at_the_root(browser: Browser, tmp_path: Path):
    with behind_nginx(tmp_path, "/team/wandb") as served:
        script = subprocess.Popen(
            [sys.executable, "-c", RUN],
            env=served.sdk_environment(tmp_path),
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert script.stdout
        address = script.stdout.readline().strip()
        context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
        window = Window(context.new_page(), f"https://{urlsplit(served.url).netloc}")
        page = window.open(address)
        page.get_by_label("API key").fill(served.key)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(address)
        expect(page.get_by_role("heading", level=1)).to_have_text("goes-on")
        page.get_by_role("button", name="Theme").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        cookies = {cookie.get("name", "").partition("_")[0]: cookie for cookie in context.cookies()}
        assert len(context.cookies()) == 2
        assert all(cookie.get("secure") and cookie.get("path") == "/team/wandb/" for cookie in cookies.values())
        with page.expect_response(f"{served.url}/live"):
            page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        script.communicate("\n", timeout=120)  # the open page hears of it
        expect(page.get_by_text("finished").first).to_be_visible()
        page.get_by_label("Go to a run").fill("goes-on")
        page.keyboard.press("Enter")
        expect(page).to_have_url(address)
        page.get_by_role("link", name="Models").click()
        expect(page).to_have_url(f"{served.url}/registry/model")
        page.get_by_text("root", exact=False).first.click()
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(f"{served.url}/login")
        context.close()
        assert not window.faults, window.faults
