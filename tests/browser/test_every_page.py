"""Every page of the registry: nothing that axe finds in either theme, narrow on a phone, readable without scripts, and
all of it within reach of the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from tests.working_tree import ROOT

from .conftest import DRAWN, Site, Window

pytestmark = pytest.mark.slow

SEED = """
import math, wandb
space = {"lr": {"values": [0.1, 0.01, 0.001]}, "arch": {"values": ["cnn", "mlp", "rnn"]}}
metric = {"name": "score", "goal": "maximize"}
sweep = wandb.sweep({"name": "Tried", "method": "grid", "metric": metric, "parameters": space}, project="pages")
def trial():
    with wandb.init() as run:
        run.log({"score": (run.config.arch == "cnn") - abs(math.log10(run.config.lr) + 2), "val/loss": 1.0})
wandb.agent(sweep, function=trial, project="pages", count=9)
for at in range(2):
    with wandb.init(project="pages", id=f"p{at}", name=f"page-{at}", job_type="train", group="both") as run:
        table = wandb.Table(["n", "of"], [[n, "ab"[n % 2]] for n in range(9)])
        for step in range(3):
            run.log({"train/loss": 1 / (step + 1), "epoch": step, "words": wandb.Html(f"<b>{step}</b>")})
        run.log({"table": table, "spread": wandb.Histogram([1, 2, 3]), "line": wandb.plot.line(table, "n", "n")})
        run.alert("Look", "at this")
        print("said")
        model = wandb.Artifact("paged", "model", metadata={"layers": at})
        with model.new_file("notes.txt") as file:
            file.write(str(at))
        model.add(table, "rows")
        run.log_artifact(model).wait()
        run.link_artifact(model, "model-registry/Paged", aliases=["production"] if at else [])
with wandb.init(project="pages", id="gone", name="gone") as run:
    empty = wandb.Artifact("empty", "dataset")
    with empty.new_file("f") as file:
        file.write("f")
    run.log_artifact(empty).wait().delete(delete_aliases=True)
print(sweep)
"""
RUN, MODEL = "/local/pages/runs/p1", "/registry/model?selectionPath=local%2Fmodel-registry%2FPaged"
VERSION = "/local/pages/artifacts/model/paged/v1"
# By the template that makes the page
PAGES = {
    "home.html": ["/", "/local"],
    "login.html": ["/login"],
    "keys.html": ["/authorize"],
    "settings.html": ["/settings"],
    "usage.html": ["/usage"],
    "search.html": ["/search?q=page"],
    "models.html": ["/registry/model"],
    "model.html": [MODEL, f"{MODEL}&view=membership&version=v1"],
    "request.html": [f"{MODEL}&view=request"],
    "artifacts.html": ["/local/pages/artifacts"],
    "collection.html": ["/local/pages/artifacts/dataset/empty"],
    "version.html": [VERSION],
    "compare.html": ["/local/pages/artifacts/model/paged/compare?from=v0&to=v1"],
    "file.html": [f"{VERSION}/files/notes.txt"],
    "table.html": [f"{VERSION}/files/rows.table.json", "/local/pages/tables?key=table&run=p0&run=p1"],
    "runs.html": [
        "/local/pages",
        "/local/pages/runs?by=group&where=state+is+finished&bars=summary.score&scatter=config.lr+summary.score",
        "/local/none-yet",
    ],
    "executions.html": ["/local/pages/executions"],
    "runs_compared.html": ["/local/pages/compare?run=p0&run=p1"],
    "values.html": ["/local/pages/values?metric=train%2Floss&run=p0&run=p1"],
    "lineage.html": ["/local/pages/lineage", f"{VERSION}/lineage"],
    "run.html": [RUN, *(f"{RUN}/{tab}" for tab in ("charts", "media", "logs", "system", "files", "artifacts"))],
    "question.html": [f"{RUN}?ask=delete", "/local/pages/runs?ask=group&run=p0&run=p1"],
    "sweeps.html": ["/local/pages/sweeps"],
    "sweep.html": ["SWEEP"],
    "error.html": ["/local/nothing-of-this-name"],
}
NOT_FOUND = PAGES["error.html"]
ADDRESSES = [address for addresses in PAGES.values() for address in addresses]
REACHED = """
() => { const seen = document.activeElement; seen.dataset.reached = "yes";
        if (seen === document.body || seen.closest("svg")) return true; // there the stroke changes
        return getComputedStyle(seen).outlineStyle !== "none"; }
"""
UNREACHED = """
() => [...document.querySelectorAll("main :is(a[href], button, input, select, summary, textarea)")]
  .filter(one => one.checkVisibility({visibilityProperty: true}) && !one.disabled && one.dataset.reached === undefined
          && one.type !== "radio" && one.tabIndex >= 0)
  .map(one => one.outerHTML.slice(0, 200))
"""


@pytest.fixture(scope="module")
def sweep(site: Site) -> str:
    """The address of the sweep. An empty project is there as well."""
    name = site.script("-c", SEED).split()[-1]
    site.script("-c", "import wandb; wandb.Api().create_project('none-yet', 'local')")
    return f"/local/pages/sweeps/{name}"


@pytest.fixture(scope="module")
def plain(browser: Browser, signed_in: dict, site: Site) -> Iterator[Window]:
    """A window without scripts."""
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in)  # type: ignore[arg-type]
    yield Window(context.new_page(), site.url)
    context.close()


def status(address: str) -> int:
    return 404 if address in NOT_FOUND else 200


def test_no_page_is_left_out():
    templates = (ROOT / "wandb_registry/web/templates").glob("*.html")
    assert {file.name for file in templates if '{% extends "base.html" %}' in file.read_text()} == set(PAGES)


@pytest.mark.parametrize("address", ADDRESSES, ids=quote)
def test_a_page_is_accessible_narrow_and_reached_by_keys(sweep: str, window: Window, address: str):
    page = window.open(address.replace("SWEEP", sweep), status(address))
    assert page.locator("h1").count() == 1
    assert page.locator(".btn.primary").count() <= 1
    assert page.locator(f"[style]{DRAWN}, script:not([src])").count() == 0
    window.check_access()
    window.check_width()
    page.evaluate("document.activeElement.blur()")
    for _ in range(page.locator("a, button, input, select, summary, textarea, [tabindex]").count()):
        page.keyboard.press("Tab")
        assert page.evaluate(REACHED), page.evaluate("document.activeElement.outerHTML.slice(0, 300)")
    assert page.evaluate(UNREACHED) == []


@pytest.mark.parametrize("address", ADDRESSES, ids=quote)
def test_a_page_is_read_without_scripts(sweep: str, window: Window, plain: Window, address: str):
    there = address.replace("SWEEP", sweep)
    heading = window.open(there, status(address)).locator("h1").inner_text()
    page = plain.open(there, status(address))
    expect(page.locator("h1")).to_have_text(heading)
    assert not plain.faults, plain.faults
