"""Every page: no console error, nothing that axe finds, nothing that widens a phone, nothing uploaded that runs."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Response, expect

from .conftest import DRAWN, Window
from .seed import EVIL, LONG

MODEL = "/registry/model?selectionPath=local%2Fmodel-registry%2FMNIST-dev"
PAGES = {
    "home": "/",
    "entity": "/local",
    "search": "/search?q=e",
    "models": "/registry/model",
    "models of none": "/registry/model?q=nothing",
    "model": MODEL,
    "registered version": f"{MODEL}&view=membership&version=v2",
    "compare registered": f"{MODEL}&view=compare&from=v0&to=v2",
    "artifacts": "/local/vision/artifacts",
    "artifacts of a type": "/local/vision/artifacts/dataset",
    "version": "/local/vision/artifacts/dataset/digits/v1",
    "folder": "/local/vision/artifacts/dataset/digits/v1?folder=media/images",
    "text": "/local/vision/artifacts/dataset/digits/v1/files/kept.txt",
    "rows": "/local/vision/artifacts/dataset/digits/v1/files/labels.csv",
    "binary": "/local/vision/artifacts/model/net/v0/files/model.h5",
    "compare": "/local/vision/artifacts/dataset/digits/compare?from=v0&to=v1",
    "long names": f"/local/hostile/artifacts/dataset/{LONG}/v0",
    "hostile": "/local/hostile/artifacts/model/hostile/v0",
}


@pytest.mark.slow
@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_a_page_is_accessible_narrow_and_has_one_heading(window: Window, address: str):
    page = window.open(address)
    window.check_access()
    window.check_width()
    assert page.locator("h1").count() == 1
    assert page.locator(".btn.primary").count() <= 1
    assert page.locator(f"[style]{DRAWN}, script:not([src])").count() == 0


@pytest.mark.parametrize(
    "address", ["/local/nothing", "/nothing/at/all/here", "/registry/model?selectionPath=a%2Fb%2Fc"]
)
def test_an_address_that_means_nothing_is_answered_in_words(window: Window, address: str):
    page = window.open(address, status=404)
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    window.check_access()


@pytest.mark.slow
def test_weight_stays_under_300_kb(window: Window):
    answers: list[Response] = []
    window.page.on("response", lambda answer: answers.append(answer))
    window.open(f"{MODEL}&view=membership&version=v2")
    assert 10_000 < sum(len(answer.body()) for answer in answers) < 300_000


# ---- hostile text ----

HOSTILE = {
    "home": "/",
    "models": "/registry/model",
    "model": f"/registry/model?selectionPath={quote(f'local/model-registry/{EVIL}', safe='')}",
    "registered version": f"/registry/model?selectionPath={quote(f'local/model-registry/{EVIL}', safe='')}"
    "&view=membership&version=v0",
    "version": "/local/hostile/artifacts/model/hostile/v0",
    "compare": f"/local/hostile/artifacts/model/hostile/compare?from=v0&to=v0&file={quote(EVIL)}.txt",
    "cells": "/local/hostile/artifacts/model/hostile/v0/files/cells.csv",
    "file": f"/local/hostile/artifacts/model/hostile/v0/files/{quote(EVIL)}.txt",
    "runs": "/local/hostile",
    "search": f"/search?q={quote('<img')}",
}


@pytest.mark.parametrize("address", HOSTILE.values(), ids=HOSTILE)
def test_what_users_write_stays_text(window: Window, address: str):
    page = window.open(address)
    expect(page.get_by_role("main")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main script, main img, main iframe, main object, main [onerror], main [onload]").count() == 0


@pytest.mark.slow
def test_a_typed_name_stays_text_when_it_is_refused(window: Window):
    window.expected.add(400)
    page = window.open(f"{MODEL}&view=membership&version=v0")
    page.get_by_role("button", name="Add alias").click()
    page.keyboard.type('"><img src=x onerror=alert(1)>/')
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["page.html", "picture.svg", "not-a-picture.png"])
def test_an_uploaded_file_is_shown_as_text_or_not_at_all(window: Window, name: str):
    base = "/local/hostile/artifacts/model/hostile/v0"
    page = window.open(f"{base}/files/{name}")
    assert page.locator("main script, main svg [onload]").count() == 0
    answer = page.request.get(f"{window.url}{base}/raw/{name}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


# ---- artifacts ----


def test_a_version_shows_its_files_folder_by_folder(window: Window):
    page = window.open("/local/vision/artifacts/dataset/digits/v1")
    files = page.get_by_role("region", name="Files")
    expect(files.get_by_role("row", name="media/")).to_contain_text("60 files")
    expect(files.get_by_role("navigation")).to_have_count(0)  # three more files need no second page
    files.get_by_role("link", name="media/", exact=True).click()
    files.get_by_role("link", name="media/images/", exact=True).click()
    expect(files.get_by_role("row", name="000.txt")).to_be_visible()
    expect(files).to_contain_text("Files 1–50 of 60")
    files.get_by_role("link", name="Next").click()
    expect(files).to_contain_text("Files 51–60 of 60")
    files.get_by_label("Filter files by path").fill("only-in")
    files.get_by_role("button", name="Filter").click()
    expect(files.locator("tbody tr")).to_have_count(1)
    files.get_by_role("link", name="only-in-1.txt").first.click()
    expect(page.locator("pre")).to_have_text("1")


def test_a_download_gives_the_bytes(window: Window):
    page = window.open("/local/vision/artifacts/dataset/digits/v1/files/kept.txt")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    assert started.value.path().read_text() == "k"


@pytest.mark.slow
def test_what_changed_between_versions_is_told_file_by_file(window: Window):
    page = window.open("/local/vision/artifacts/dataset/digits/v1")
    page.get_by_role("link", name="Compare with v0").click()
    files = page.get_by_role("region", name="Files")
    states = {
        name: files.get_by_role("row", name=name).locator(".badge").inner_text()
        for name in ("labels.csv", "only-in-0.txt", "only-in-1.txt")
    }
    assert states == {"labels.csv": "changed", "only-in-0.txt": "removed", "only-in-1.txt": "added"}
    expect(files).to_contain_text("61 changed, 1 added, 1 removed, 1 the same")
    expect(page.get_by_role("region", name="Facts").get_by_role("row", name="rows")).to_have_text(
        re.compile(r"100\s*101")
    )


@pytest.mark.slow
def test_a_run_that_held_two_versions_against_each_other_is_shown_with_them(window: Window):
    page = window.open("/local/odd/artifacts/model/odd/compare?from=v0&to=v1")
    section = page.get_by_role("region", name="Held against each other")
    expect(section.get_by_text("0.2500")).to_be_visible()
    picture = section.get_by_role("img", name="differ")
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("naturalWidth", 28)
    window.check_access()


@pytest.mark.slow
def test_the_lines_that_changed_in_a_text_are_shown(window: Window):
    page = window.open("/local/vision/artifacts/dataset/digits/compare?from=v0&to=v1")
    page.get_by_role("link", name="Lines of labels.csv that changed").click()
    lines = page.get_by_role("region", name="Lines of labels.csv").get_by_role("row")
    expect(lines.filter(has_text="299,9")).to_have_count(1)
    expect(lines.last).to_have_text(re.compile(r"\+\s*!"))
    window.check_access()
    window.open("/local/vision/artifacts/dataset/digits/compare?from=v0&to=v1&file=none", status=404)


def test_usage_is_code_that_runs(window: Window):
    page = window.open("/local/vision/artifacts/dataset/digits/v1")
    code = page.get_by_role("region", name="Usage").locator("pre").first.inner_text()
    assert 'run.use_artifact("local/vision/digits:v1")' in code
    compile(code, "usage", "exec")


@pytest.mark.slow
def test_a_digest_is_copied(window: Window):
    window.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = window.open("/local/vision/artifacts/dataset/digits/v1")
    page.get_by_role("button", name="Copy digest").first.click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    digest = page.locator("#overview .digest span").first.get_attribute("title")
    assert page.evaluate("navigator.clipboard.readText()") == digest


def test_the_search_goes_to_what_is_meant(window: Window):
    page = window.open("/")
    page.keyboard.press("/")
    page.keyboard.type("rain-2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/local/vision/runs/**")
    page.get_by_label("Go to a run, artifact or model").fill("nist-DEV")
    page.keyboard.press("Enter")
    page.wait_for_url("**selectionPath**")


@pytest.mark.slow
def test_the_search_says_how_many_there_are_and_leads_to_all(window: Window):
    page = window.open("/search?q=a")
    runs = page.locator("section", has=page.get_by_role("heading", name="Runs"))
    expect(runs.locator("p")).to_contain_text(re.compile(r"^8 of \d+"))
    runs.get_by_role("link", name=re.compile(r"All \d+ runs")).click()
    expect(page.locator(".foot")).to_contain_text("Runs 1–")
    page = window.open("/search?q=KERAS")  # a tag, in another case; it leads to the one version that has it
    expect(page.get_by_role("heading", level=1)).to_contain_text("net")


@pytest.mark.slow
def test_a_phone_has_the_search_too(window: Window):
    page = window.open("/")
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("link", name="Search").click()
    page.get_by_label("Part of a name").fill("digits")
    page.keyboard.press("Enter")
    found = page.get_by_role("group", name="Artifacts").get_by_role("row", name="vision")
    expect(found.get_by_role("link", name="digits")).to_be_visible()


@pytest.mark.slow
def test_the_theme_is_chosen_and_kept(window: Window):
    page = window.open("/")
    page.get_by_role("button", name="Theme").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    window.check_access()
