"""A real Chromium on a real server: one of each for all tests here, and what is in it was put there by the real SDK."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Page,
    Playwright,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.working_tree import ROOT, take_interrupts
from wandb_registry import daemon

NAMES = ("chromium", "chromium-browser", "google-chrome")
LACKING = "There is no Chromium to look with. Install it: sudo apt-get install chromium"
PATIENCE = 60_000  # ms; a page takes a fraction of one second, a busy machine more
expect.set_options(timeout=PATIENCE)

ENDLESS = """
import time, wandb
soon = wandb.Settings(x_file_stream_transmit_interval=0.5)
with wandb.init(project="{project}", id="{name}", name="{name}", settings=soon) as run:
    for step in range(12_000): run.log({{"step": step}}); time.sleep(0.1)
"""

# What a frame with a run's HTML is to be refused: scripts, and the style that the SDK links in each wandb.Html
REFUSED = ("document's frame is sandboxed", "the stylesheet 'https://app.wandb.ai/normalize.css' violates")
DRAWN = ":not(.plot *, .vega, .vega *)"  # what a script drew may be placed by styles of its own


@dataclass(frozen=True)
class Site:
    """A server and who runs it."""

    url: str
    entity: str
    key: str
    store: Path

    def script(self, *arguments: str, key: str = "") -> str:
        """Runs a Python script with the real SDK on this server; answers what it printed."""
        folder = self.store.parent / "sdk"
        folder.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        places = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR", "WANDB_CONFIG_DIR")
        settings = {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": key or self.key, "WANDB_SILENT": "true"}
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**kept, **settings, **dict.fromkeys(places, str(folder)), "PYTHONPATH": str(ROOT)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def endless(self, project: str, name: str, folder: Path) -> Iterator[subprocess.Popen]:
        """A process that logs a run until it is told to stop."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        settings = {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.key, "WANDB_SILENT": "true"}
        process = subprocess.Popen(
            [sys.executable, "-c", ENDLESS.format(project=project, name=name)],
            env={**kept, **settings, "WANDB_DIR": str(folder), "PYTHONPATH": str(ROOT)},
            cwd=folder,
            preexec_fn=take_interrupts,  # by which the SDK stops a run
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def command(self, *arguments: str) -> None:
        """`wandb-registry …` on its store."""
        subprocess.run(
            [sys.executable, "-m", "wandb_registry", *arguments],
            env=os.environ | {"REGISTRY_DIR": str(self.store)},
            cwd=ROOT,
            check=True,
            capture_output=True,
        )

    def sign_in_url(self) -> str:
        found = daemon.login_url(self.store)
        assert found
        return found


@dataclass
class Window:
    """A browser window. It keeps what should never be there: console errors, dialogs, requests to elsewhere."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)  # statuses that a test asks for on purpose

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", lambda said: self._hear(said.type, said.text))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("dialog", self._dismiss)
        self.page.on("requestfinished", lambda request: self._sent(request.url))
        self.page.on("requestfailed", self._failed)

    def _hear(self, kind: str, text: str) -> None:
        refused = any(part in text for part in REFUSED)
        if kind == "error" and not refused and not any(f"status of {status}" in text for status in self.expected):
            self.faults.append(f"console: {text}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _failed(self, request: Request) -> None:
        if "csp" not in (request.failure or "").lower():  # else the browser never sent it
            self._sent(request.url)

    def _sent(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.netloc != urlsplit(self.url).netloc:
            self.faults.append(f"request to {address}")

    def open(self, address: str, status: int = 200) -> Page:
        """Goes to an address of the site and checks the status that comes back."""
        if status != 200:
            self.expected.add(status)
        answer = self.page.goto(self.url + address if address.startswith("/") else address)
        assert isinstance(answer, Response)
        assert answer.status == status, f"{address}: {answer.status}"
        return self.page

    def check_access(self) -> None:
        """Nothing on this page that axe finds, whether light or dark."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            found = Axe().run(self.page).response["violations"]
            told = [f"{v['id']}: {v['help']} {[node['html'][:200] for node in v['nodes'][:3]]}" for v in found]
            assert not told, f"{self.page.url}, {scheme}: " + "\n".join(told)

    def check_width(self) -> None:
        """On a phone nothing but tables and graphs scrolls sideways."""
        self.page.set_viewport_size({"width": 390, "height": 844})
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        self.page.set_viewport_size({"width": 1280, "height": 800})
        assert wide <= 390, f"{self.page.url} is {wide} px wide on a phone of 390"


def chromium_path() -> str:
    """Debian's Chromium. Without one the tests are skipped, unless REQUIRE_BROWSER=1 says that none may be."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip)(LACKING)
    return found


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser; it is closed behind the last test of this folder, since others use event loops of their own."""
    chromium_path()
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="package")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server with what seed.py logs: models, data, and every kind of text that would like to run."""
    store = tmp_path_factory.mktemp("browser") / "store"
    server = daemon.ensure(store)
    made = Site(server.url, server.entity, server.api_key, store)
    made.script(str(Path(__file__).parent / "seed.py"))
    yield made
    daemon.stop(store)


@pytest.fixture(scope="package")
def signed_in(browser: Browser, site: Site) -> dict:
    """The cookies of whoever runs the server."""
    context = browser.new_context()
    context.new_page().goto(site.sign_in_url())
    state = context.storage_state()
    context.close()
    return dict(state)


@pytest.fixture
def context(browser: Browser, signed_in: dict) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 800}, storage_state=signed_in)  # type: ignore[arg-type]
    yield made
    made.close()


@pytest.fixture
def window(context: BrowserContext, site: Site) -> Iterator[Window]:
    """A window of whoever runs the server, signed in. The test fails on any console error."""
    made = Window(context.new_page(), site.url)
    yield made
    assert not made.faults, made.faults


@pytest.fixture
def stranger(browser: Browser, site: Site) -> Iterator[Window]:
    """A window that nobody has signed in with."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    made = Window(context.new_page(), site.url)
    yield made
    context.close()
    assert not made.faults, made.faults
