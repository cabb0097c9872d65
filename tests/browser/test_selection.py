"""Several runs that are ticked in a list: compared, tagged, grouped, moved, stopped and deleted at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import PATIENCE, Site, Window
from .test_signin import sign_in

pytestmark = pytest.mark.slow

SEED = """
import wandb
for at in range(5):
    config = {"lr": 0.1 / 10**at, "arch": "mlp" if at % 2 else "cnn"}
    with wandb.init(project="several", id=f"s{at}", name=f"run-{at}", tags=["old"], config=config) as run:
        run.log({"loss": 0.5 if at < 3 else 0.25})
        model = wandb.Artifact(f"of-{at}", "model")
        with model.new_file("w") as file:
            file.write(str(at))
        run.log_artifact(model).wait()
with wandb.init(project="others", id="s1", name="of the same id"): pass
"""
LIST = "/local/several/runs?sort=name&where=state+is+finished"
TAGS = "import wandb; print([run.tags for run in wandb.Api().runs('several', order='display_name')][:3])"


@pytest.fixture(scope="module")
def several(site: Site) -> Site:
    site.script("-c", SEED)
    return site


def tick(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("checkbox", name=f"Select {name}").check()


def more(page: Page, what: str) -> None:
    page.locator(".selbar summary", has_text="More").click()
    page.locator(".selbar").get_by_role("button", name=what).click()


def names(page: Page) -> Locator:
    return page.locator("table.runs tbody th a")


def test_ticked_runs_are_tagged_and_that_is_undone(several: Site, window: Window):
    page = window.open(LIST)
    tick(page, "run-0", "run-2")
    page.get_by_role("button", name="Tag… the selected runs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tag 2 runs")
    expect(page.locator(".question li")).to_have_text(["run-0, run-2"])
    window.check_access()
    window.check_width()
    page.get_by_label("Tag").fill("baseline")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("2 runs tagged baseline.")
    assert page.url == window.url + LIST  # the same list as before
    assert several.script("-c", TAGS).strip() == "[['old', 'baseline'], ['old'], ['old', 'baseline']]"
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#toast")).to_contain_text("Undone.")
    assert several.script("-c", TAGS).strip() == "[['old'], ['old'], ['old']]"
    tick(page, "run-0")
    more(page, "Remove a tag…")
    page.get_by_label("Tag").fill("none of them")
    window.expected.add(400)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("None of these runs has the tag 'none of them'.")


def test_one_box_ticks_all_and_they_are_compared(several: Site, window: Window):
    page = window.open(LIST)
    page.get_by_role("checkbox", name="Select all runs on this page").check()
    expect(page.locator(".selbar")).to_be_visible()
    page.get_by_role("button", name="Compare").click()
    expect(page).to_have_url(f"{window.url}/local/several/compare?" + "&".join(f"run=s{at}" for at in range(5)))


def test_ticked_runs_are_put_into_a_group(several: Site, window: Window):
    page = window.open(f"{LIST}&by=config.arch")
    expect(page.locator("tr.group th")).to_have_text(["cnn 3 runs", "mlp 2 runs"])
    tick(page, "run-1", "run-3")
    more(page, "Group…")
    page.get_by_label("Group").fill("pair")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("2 runs put into the group pair.")
    window.open(f"{LIST}&by=group")
    expect(page.locator("tr.group th")).to_have_text(["pair 2 runs", "no group 3 runs"])


def test_runs_are_moved_together_or_not_at_all(several: Site, window: Window):
    page = window.open(LIST)
    tick(page, "run-0", "run-1")
    more(page, "Move to another project…")
    page.get_by_label("Project").fill("others")
    window.expected.add(409)
    page.keyboard.press("Enter")
    said = "run-1: 'local/others' has a run with the id 's1' already. None of the 2 runs was changed."
    expect(page.get_by_role("alert")).to_have_text(said)
    page.get_by_label("Project").fill("archive")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("2 runs moved to local/archive.")
    expect(names(page)).to_have_text(["run-2", "run-3", "run-4"])
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(names(page)).to_have_count(5)


def test_what_another_tab_has_deleted_is_said(several: Site, window: Window):
    page = window.open(LIST)
    tick(page, "run-3", "run-4")
    several.script("-c", "import wandb; wandb.Api().run('several/s3').delete()")
    more(page, "Delete…")
    expect(page.locator(".banner")).to_contain_text("1 selected run can't be found any more: the others are meant.")
    page.get_by_label("Delete the 1 version too that they were the first to log").check()
    page.get_by_role("button", name="Delete runs").click()
    expect(page.locator("#toast")).to_have_text("1 run deleted.")
    window.open("/local/several/runs/s4", status=404)
    window.open("/local/several/artifacts/model/of-4/v0", status=404)
    window.open("/local/several/runs?ask=tag&run=s3&run=s4", status=404)
    window.open("/local/several/runs?ask=tag", status=400)
    expect(page.locator("main")).to_contain_text("No run is selected.")


def test_ticked_runs_are_told_to_stop(several: Site, window: Window, tmp_path: Path):
    with several.endless("several", "endless", tmp_path) as process:
        page = window.page
        window.expected.add(404)
        while not page.goto(f"{several.url}/local/several/runs/endless").ok:  # type: ignore[union-attr]
            assert process.poll() is None
        window.open("/local/several/runs")
        tick(page, "endless", "run-2")
        more(page, "Stop…")
        expect(page.get_by_role("heading", level=1)).to_have_text("Stop 1 run?")
        expect(page.locator(".question")).to_contain_text("1 run of the selection ended before")
        page.get_by_role("button", name="Stop runs").click()
        expect(page.locator("tr", has_text="endless")).to_contain_text("killed", timeout=3 * PATIENCE)
        process.wait(60)


def test_several_columns_sort_a_list(several: Site, window: Window):
    page = window.open("/local/several/runs?where=summary.loss+%3E%3D+0.5")
    menu = page.locator("#sort > summary")
    for column, order, now in (
        ("summary.loss", "least first", "summary.loss ↑"),
        ("config.arch", "greatest first", "summary.loss ↑ +1"),
        ("name", "greatest first", "summary.loss ↑ +2"),
    ):
        menu.click()
        page.get_by_label("Then by").fill(column)
        page.get_by_label("Order").select_option(order)
        page.get_by_role("button", name="Sort", exact=True).click()
        expect(menu).to_have_text(f"Sort {now}")
    expect(names(page)).to_have_text(["run-1", "run-2", "run-0"])
    menu.click()
    page.get_by_role("link", name="Don't sort by config.arch").click()
    expect(menu).to_have_text("Sort summary.loss ↑ +1")
    expect(names(page)).to_have_text(["run-2", "run-1", "run-0"])
    menu.click()
    window.check_access()
    page.get_by_role("link", name="greatest first in name").click()
    expect(names(page)).to_have_text(["run-0", "run-1", "run-2"])


def test_who_may_only_read_compares_and_changes_nothing(several: Site, stranger: Window):
    several.command("user", "add", "looker", "--api-key", "looker".ljust(40, "k"))
    several.command("team", "add-member", "local", "looker", "--role", "viewer")
    page = stranger.open("/login")
    sign_in(stranger, "looker".ljust(40, "k"))
    stranger.open(LIST)
    tick(page, "run-0")
    expect(page.locator(".selbar button")).to_have_text(["Compare"])
    stranger.open("/local/several/runs?ask=delete&run=s0")
    stranger.expected.add(403)
    page.get_by_role("button", name="Delete runs").click()
    expect(page.get_by_role("alert")).to_contain_text("looker")
