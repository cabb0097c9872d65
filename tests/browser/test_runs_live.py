"""Pages that stay open: they hear of what a run logs, and go on when their server came back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.working_tree import ROOT
from wandb_registry import daemon

from .conftest import Site, Window
from .seed_runs import __file__ as SEED


@pytest.mark.slow
def test_a_training_that_goes_on_grows_without_reloading(site: Site, window: Window, tmp_path: Path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    settings = {"WANDB_BASE_URL": site.url, "WANDB_API_KEY": site.key, "WANDB_SILENT": "true", "PYTHONPATH": str(ROOT)}
    settings |= {"WANDB_DIR": str(tmp_path), "WANDB_CACHE_DIR": str(tmp_path)}
    training = subprocess.Popen([sys.executable, SEED, "live", str(tmp_path)], env={**kept, **settings}, cwd=tmp_path)
    try:
        page = window.page
        window.expected.add(404)
        for _ in range(60):
            answer = page.goto(f"{site.url}/local/looks/runs/live")
            if answer and answer.status == 200 and page.locator("figure.chart").count():
                break
            page.wait_for_timeout(500)
        page.evaluate("window.here = true")
        seen = page.get_by_role("img", name="seen by step")
        expect(seen).to_have_attribute("data-points", re.compile(r"\d"))
        before = int(seen.get_attribute("data-points") or 0)
        seen.focus()
        page.wait_for_function(
            "before => parseInt(document.activeElement.dataset.points) > before + 3", arg=before, timeout=60_000
        )  # the chart grew, and what had the focus has it still
        (tmp_path / "stop").touch()
        expect(page.locator(".badge", has_text="finished")).to_be_visible(timeout=60_000)
        assert page.evaluate("window.here"), "the page was not loaded anew"
    finally:
        (tmp_path / "stop").touch()
        training.wait(60)


RUN_BY_HAND = """
mutation { upsertBucket(input: {entityName: "local", modelName: "back", name: "r"}) { bucket { id } } }
"""


@pytest.mark.soak  # the port that the server leaves may be taken by another one meanwhile
def test_a_page_goes_on_when_its_server_came_back(browser: Browser, tmp_path: Path):
    store = tmp_path / "store"

    def send(path: str, body: dict) -> None:
        server = daemon.ensure(store)
        requests.post(server.url + path, json=body, auth=("api", server.api_key), timeout=20).raise_for_status()

    def say(number: int) -> None:
        send(
            "/files/local/back/r/file_stream",
            {"files": {"output.log": {"offset": number, "content": [f"line {number}"]}}},
        )

    try:
        send("/graphql", {"query": RUN_BY_HAND})
        say(0)
        page = browser.new_page()
        page.goto(str(daemon.login_url(store)))
        page.goto(f"{daemon.ensure(store).url}/local/back/runs/r/logs")
        expect(page.locator(".log li")).to_have_count(1)
        started = time.monotonic()
        daemon.stop(store)
        assert time.monotonic() - started < 12, "an open page doesn't keep the server"
        say(1)
        expect(page.locator(".log li")).to_have_count(2, timeout=20_000)
        say(2)
        expect(page.locator(".log li").last).to_contain_text("line 2")
        page.close()
    finally:
        daemon.stop(store)
