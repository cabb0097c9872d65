"""The settings: who may keep accounts, keys, teams and protected aliases there, and what everybody else is told."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import Site, Window
from .test_signin import sign_in

pytestmark = pytest.mark.slow

KEYS = {"lena": "lena".ljust(40, "k"), "jon": "jon".ljust(40, "k")}


@pytest.fixture(scope="module")
def people(site: Site) -> Site:
    """lena is an admin of the team, jon a member of it."""
    for name, key in KEYS.items():
        site.command("user", "add", name, "--api-key", key)
    site.command("team", "add-member", "local", "lena", "--role", "admin")
    site.command("team", "add-member", "local", "jon", "--role", "member")
    # A service account of two teams, of which lena keeps one
    site.command("user", "add", "roamer", "--service", "local")
    site.command("org", "add", "wide", "--admin", "jon")
    site.command("team", "add", "elsewhere", "--org", "wide", "--member", "jon")
    site.command("team", "add-member", "elsewhere", "roamer", "--role", "member")
    return site


def test_the_settings_are_accessible_and_narrow(people: Site, window: Window):
    page = window.open("/settings")
    page.locator("summary", has_text="Add a user").click()
    window.check_access()
    window.check_width()
    window.open("/settings?ask=remove-user&of=jon")
    window.check_access()


def test_an_admin_makes_and_ends_accounts_and_keys(people: Site, window: Window):
    page = window.open("/settings")
    page.locator("summary", has_text="Add a user").press("Enter")
    page.locator("#add-user").get_by_label("Name").fill("tomas")
    page.locator("#add-user").get_by_role("button", name="Make").click()
    key = page.locator(".banner pre").inner_text()
    told = people.script("-c", "import wandb; print(wandb.Api().viewer.username)", key=key)
    assert told.strip() == "tomas"
    window.open("/settings")
    row = page.locator("#keys tr", has_text="tomas")
    expect(row).to_contain_text("first key")
    expect(row).to_contain_text("127.0.0.1")  # it was used just now
    row.get_by_role("link", name=re.compile("Revoke")).click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.locator("#toast")).to_contain_text("of tomas stopped working")
    expect(page.locator("#keys tr", has_text="tomas")).to_have_count(0)
    page.locator("#users tr", has_text="tomas").get_by_role("link", name=re.compile("Remove")).click()
    page.get_by_role("button", name="Remove account").click()
    expect(page.locator("#users tr", has_text="tomas")).to_have_count(0)


def test_a_key_may_have_a_last_day(people: Site, window: Window):
    page = window.open("/settings")
    page.locator("summary", has_text="New key").click()
    page.locator("#new-key").get_by_label("Label").fill("for the fair")
    page.locator("#new-key").get_by_label("Works until").fill("2026-01-31")
    window.expected.add(400)
    page.locator("#new-key").get_by_role("button", name="Make").click()
    expect(page.locator("#new-key").get_by_role("alert")).to_contain_text("that day is over")
    expect(page.locator("#new-key").get_by_label("Label")).to_have_value("for the fair")
    page.locator("#new-key").get_by_label("Works until").fill("2126-01-31")
    page.locator("#new-key").get_by_role("button", name="Make").click()
    expect(page.locator("#keys tr", has_text="for the fair")).to_contain_text("2126-01-31")
    window.check_access()
    window.check_width()


def test_an_admin_of_a_team_keeps_its_roles_and_machines_and_nothing_else(people: Site, stranger: Window):
    page = stranger.open("/login")
    sign_in(stranger, KEYS["lena"])
    stranger.open("/settings")
    expect(page.get_by_role("heading", name="Users")).to_have_count(0)
    page.get_by_label("Role of jon in local").select_option("viewer")
    page.get_by_role("button", name="Set role of jon in local").click()
    expect(page.get_by_label("Role of jon in local")).to_have_value("viewer")
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Role of jon in local")).to_have_value("member")
    page.locator("summary", has_text="New service account").click()
    page.get_by_label("Name", exact=True).fill("nightly")
    page.locator("#add-machine").get_by_role("button", name="Make").click()
    expect(page.locator(".banner")).to_contain_text("Key of local-nightly made.")
    page.get_by_label("Protected aliases of local/model-registry").fill("gold")
    page.get_by_role("button", name="Set protected aliases of local/model-registry").click()
    expect(page.locator("#toast")).to_contain_text("gold can be moved by admins alone")
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#toast")).to_contain_text("Undone.")
    token = page.locator("input[name=token]").first.get_attribute("value") or ""
    refused = page.request.post(people.url + "/settings", form={"do": "remove-user", "of": "jon", "token": token})
    assert refused.status == 403
    assert "doesn't keep the account 'jon'" in refused.text().replace("&#39;", "'")
    refused = page.request.post(people.url + "/settings", form={"do": "new-key", "of": "roamer", "token": token})
    assert refused.status == 403


def test_a_member_sees_what_the_role_allows_and_whom_to_ask(people: Site, stranger: Window):
    page = stranger.open("/login")
    sign_in(stranger, KEYS["jon"])
    stranger.open("/settings")
    expect(page.locator("#teams tr", has_text="local")).to_contain_text("read and write runs and artifacts")
    expect(page.locator("#teams tr", has_text="local")).to_contain_text("lena")
    expect(page.locator("#teams")).to_contain_text("are kept by admins. Ask ")
    expect(page.locator("#keys tbody tr")).to_have_count(1)
    expect(page.get_by_role("button", name=re.compile("Set role|protected"))).to_have_count(0)
    stranger.check_access()
    page.locator("summary", has_text="New key").click()
    page.get_by_label("Label").fill("laptop")
    page.locator("#new-key").get_by_role("button", name="Make").click()
    expect(page.locator("#keys tr.current")).to_contain_text("laptop")
    token = page.locator("input[name=token]").first.get_attribute("value") or ""
    for form in ({"do": "add-user", "name": "x"}, {"do": "set-role", "team": "local", "of": "jon", "role": "admin"}):
        refused = page.request.post(people.url + "/settings", form={**form, "token": token})  # type: ignore[arg-type]
        assert refused.status == 403, form


CHART = """
import wandb
spec = {"data": {"name": "wandb"}, "mark": "bar", "encoding": {"x": {"field": "${field:x}"}}}
wandb.Api().create_custom_chart("local", "spare bars", "Spare", "vega2", "private", spec)
with wandb.init(project="charted", id="c") as run:
    run.log({"bars": wandb.plot_table("local/spare bars", wandb.Table(["x"], [[1]]), {"x": "x"})})
"""


def test_a_custom_chart_is_deleted_after_a_question(people: Site, window: Window, stranger: Window):
    people.script("-c", CHART)
    page = window.open("/local/charted/runs/c/media")
    expect(page.locator("iframe.sandbox")).to_have_count(1)
    window.open("/settings")
    row = page.locator("#charts tr", has_text="local/spare bars")
    expect(row).to_contain_text("Spare")
    row.get_by_role("link", name=re.compile("Delete")).click()
    expect(page.locator(".banner")).to_contain_text("Plots that it draws show their tables then.")
    window.check_access()
    people.command("user", "add", "spectator", "--api-key", "spectator".ljust(40, "k"))
    people.command("team", "add-member", "local", "spectator", "--role", "viewer")
    other = stranger.open("/login")
    sign_in(stranger, "spectator".ljust(40, "k"))
    stranger.open("/settings")
    expect(other.locator("#charts tr", has_text="local/spare bars").get_by_role("link")).to_have_count(0)
    token = other.locator("input[name=token]").first.get_attribute("value") or ""
    refused = other.request.post(
        people.url + "/settings", form={"do": "delete-chart", "of": "local/spare bars", "token": token}
    )
    assert refused.status == 403
    page.get_by_role("button", name="Delete chart").click()
    expect(page.locator("#toast")).to_contain_text("The custom chart local/spare bars was deleted.")
    expect(page.locator("#charts tr", has_text="local/spare bars")).to_have_count(0)
    window.open("/local/charted/runs/c/media")
    expect(
        page.get_by_text("drawn by the custom chart 'local/spare bars', which is not in this registry")
    ).to_be_visible()
