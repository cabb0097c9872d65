"""What people change in the pages: a run, a version, with an undo or a question before, by the rules of the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import PATIENCE, Site, Window

SEED = """
import wandb
for name in ("one", "two", "three"):
    with wandb.init(project="edited", id=name, name=f"run-{name}", group="before", tags=["kept"]) as run:
        run.log({"loss": 1.0})
        model = wandb.Artifact("edited-net", "model", description="as it was")
        with model.new_file("w") as file:
            file.write(name)
        run.log_artifact(model).wait()
with wandb.init(project="edited", id="user", name="user") as run:
    run.use_artifact("edited-net:v1")
"""
RUN = "/local/edited/runs/one"
VERSION = "/local/edited/artifacts/model/edited-net/v1"
PAGES = {
    "run": RUN,
    "stop": f"{RUN}?ask=stop",
    "move": f"{RUN}?ask=move",
    "delete": f"{RUN}?ask=delete",
    "version": VERSION,
    "delete version": f"{VERSION}?ask=delete",
}


@pytest.fixture(scope="module")
def edited(site: Site) -> Site:
    site.script("-c", SEED)
    return site


@pytest.fixture
def plain(browser: Browser, signed_in: dict, edited: Site) -> Iterator[Window]:
    """A window without scripts."""
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in)  # type: ignore[arg-type]
    made = Window(context.new_page(), edited.url)
    yield made
    context.close()
    assert not made.faults, made.faults


@pytest.mark.slow
@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_what_changes_things_is_accessible_and_narrow(edited: Site, window: Window, address: str):
    page = window.open(address)
    for summary in page.locator("details.menu:not(header *) > summary").all()[:2]:
        summary.click()
    window.check_access()
    window.check_width()


def test_a_run_is_renamed_and_tagged_by_keyboard_and_that_is_undone(edited: Site, window: Window):
    page = window.open(RUN)
    page.locator("summary", has_text="Edit").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("renamed")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("after")
    page.keyboard.press("Tab")
    page.keyboard.type("Looks good.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("renamed")
    expect(page.locator(".lede")).to_have_text("Looks good.")
    expect(page.locator("#activity")).to_contain_text("changed the group from before to after")
    page.locator("#toast").get_by_role("button", name="Undo").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("run-one")
    expect(page.locator(".lede")).to_have_count(0)
    expect(page.get_by_role("link", name="before")).to_be_visible()
    page.get_by_role("button", name="+ Add tag").press("Enter")
    page.keyboard.type("baseline")
    page.keyboard.press("Enter")
    expect(page.locator("#tags .chip")).to_have_text(["kept×", "baseline×"])
    page.get_by_role("button", name="Remove tag kept").press("Enter")
    expect(page.locator("#tags .chip")).to_have_text(["baseline×"])
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#tags .chip")).to_have_text(["kept×", "baseline×"])
    told = edited.script("-c", "import wandb; print(sorted(wandb.Api().run('edited/one').tags))")
    assert told.strip() == "['baseline', 'kept']"


@pytest.mark.slow
def test_an_edit_by_the_api_is_in_the_log_too(edited: Site, window: Window):
    edited.script("-c", "import wandb; run = wandb.Api().run('edited/three'); run.notes = 'by api'; run.update()")
    page = window.open("/local/edited/runs/three")
    expect(page.locator("#activity")).to_contain_text("changed the notes from none to by api")


@pytest.mark.slow
def test_a_run_is_renamed_without_scripts(plain: Window):
    page = plain.open("/local/edited/runs/two")
    page.locator("summary", has_text="Edit").click()
    page.get_by_label("Name").fill(" ")
    plain.expected.add(400)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("A run needs a name")
    page.get_by_label("Name").fill("second")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("second")
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("run-two")


def ask(page: Page, what: str) -> None:
    page.locator("main summary", has_text="More").click()
    page.get_by_role("link", name=what).click()


@pytest.mark.slow
def test_a_run_is_moved_and_back_and_deleted(edited: Site, window: Window):
    page = window.open("/local/edited/runs/two")
    ask(page, "Move…")
    expect(page.locator("main")).to_contain_text("The 1 version that it logged stay in the project where they are.")
    page.get_by_label("Project").fill("elsewhere")
    page.get_by_role("button", name="Move run").click()
    expect(page).to_have_url(f"{window.url}/local/elsewhere/runs/two")
    expect(page.locator("#activity")).to_contain_text("moved it from local/edited to local/elsewhere")
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page).to_have_url(f"{window.url}/local/edited/runs/two")
    ask(page, "Delete…")
    expect(page.locator("main")).to_contain_text("This can't be undone.")
    page.get_by_role("link", name="Cancel").click()
    ask(page, "Delete…")
    page.get_by_label("Delete the 1 version too").check()
    page.get_by_role("button", name="Delete run").click()
    expect(page.locator("#toast")).to_have_text("run-two was deleted.")
    window.open("/local/edited/runs/two", status=404)
    window.open(VERSION, status=404)


@pytest.mark.slow
def test_a_run_is_told_to_stop(edited: Site, window: Window, tmp_path: Path):
    with edited.endless("edited", "endless", tmp_path) as process:
        page = window.page
        window.expected.add(404)
        while not page.goto(f"{edited.url}/local/edited/runs/endless").ok:  # type: ignore[union-attr]
            assert process.poll() is None
        expect(page.locator(".badge", has_text="running")).to_be_visible()
        ask(page, "Stop…")
        page.get_by_role("button", name="Stop run").click()
        # The SDK asks now and then; on a busy machine it ends late
        expect(page.locator(".badge", has_text="killed")).to_be_visible(timeout=3 * PATIENCE)
        expect(page.locator("#activity")).to_contain_text("asked it to stop")
        process.wait(60)


@pytest.mark.slow
def test_a_version_is_described_linked_tagged_and_that_is_undone(edited: Site, window: Window):
    page = window.open("/local/edited/artifacts/model/edited-net/v2")
    page.locator("summary", has_text="Description").click()
    page.get_by_label("Description").fill("as it is")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".lede")).to_have_text("as it is")
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".lede")).to_have_text("as it was")
    page.locator("summary", has_text="Link to a registered model").click()
    page.get_by_label("Registered model").fill("Edited")
    page.get_by_role("button", name="Link", exact=True).click()
    page.get_by_role("link", name="Edited:v0").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Edited:v0")
    page.get_by_role("button", name="+ Add alias").click()
    page.keyboard.type("production")
    page.keyboard.press("Enter")
    expect(page.locator("#aliases .chip.production")).to_have_count(1)
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#aliases .chip.production")).to_have_count(0)
    ask(page, "Unlink…")
    expect(page.locator("main")).to_contain_text("Its aliases here go: latest.")
    page.get_by_role("button", name="Unlink version").click()
    expect(page.locator("main")).to_contain_text("No version is linked to it now.")


@pytest.mark.slow
def test_deleting_a_version_says_what_breaks(edited: Site, window: Window):
    edited.script("-c", "import wandb; wandb.Api().artifact('edited/edited-net:v0').link('model-registry/Broken')")
    page = window.open("/local/edited/artifacts/model/edited-net/v0")
    ask(page, "Delete…")
    expect(page.locator(".banner")).to_contain_text("It is linked to 1 registered model, which then lack it.")
    page.get_by_role("button", name="Delete version").click()
    expect(page.locator("#toast")).to_have_text("edited-net:v0 was deleted.")
    window.open("/local/edited/artifacts/model/edited-net/v0", status=404)
