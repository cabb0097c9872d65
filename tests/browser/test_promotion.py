"""After the real pipeline: six clicks put another version into production, and git is told that it drifted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from wandb_registry import daemon

from ..conftest import Clone
from .conftest import Site, Window

pytestmark = pytest.mark.slow

ANOTHER = """
import wandb
with wandb.init(project="model-registry-dev", job_type="train_model") as run:
    model = wandb.Artifact("mnist_model", "model")
    with model.new_file("model.h5") as file:
        file.write("another one")
    print(run.link_artifact(run.log_artifact(model).wait(), "model-registry/MNIST-dev").version)
"""


@pytest.fixture
def trained(pipeline: Clone, tmp_path) -> Iterator[tuple[Clone, Site, str]]:
    """A copy of the project after its pipeline ran, with the registry in it, and another version of the model."""
    pipeline.run("wandb-registry", "stop")
    shutil.copytree(pipeline.path, tmp_path / "clone", symlinks=True)
    clone = Clone(tmp_path / "clone", pipeline.env)
    store = clone.path / ".registry"
    server = daemon.ensure(store)
    site = Site(server.url, server.entity, server.api_key, store)
    yield clone, site, site.script("-c", ANOTHER).strip()
    daemon.stop(store)


def test_six_clicks_after_the_pipeline_ran_are_drift_from_git(browser: Browser, trained: tuple[Clone, Site, str]):
    clone, site, version = trained
    assert clone.run("dvc-wandb", "verify").code == 0
    window = Window(browser.new_page(viewport={"width": 1280, "height": 800}), site.url)
    window.open(site.sign_in_url())

    page = window.open("/registry/model")
    page.get_by_role("link", name="View details of MNIST-dev").click()
    page.get_by_role("link", name=f"View {version}", exact=True).click()
    page.locator("#aliases").get_by_role("button", name="Add alias").click()
    page.keyboard.type("production")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(f"production moved from v0 to {version}.")
    line = page.locator("#activity li").first
    me = page.locator("summary", has_text="Account").inner_text().split()[-1]
    expect(line).to_contain_text(f"{me} moved production from v0 to {version}")
    expect(line.locator("time")).to_be_visible()

    verified = clone.run("dvc-wandb", "verify", ok=False)
    assert verified.code == 1
    assert "production" in verified.text
    clicked_on = page.url
    page.goto(f"{site.url}/registry/model?selectionPath=local%2Fmodel-registry%2FMNIST-dev")
    expect(page.get_by_role("alert")).to_contain_text(f"says v0, the registry says {version}.")
    assert clone.run("dvc-wandb", "promote").code == 0
    page.reload()
    expect(page.locator("#sides")).to_contain_text("git and the registry agree: production is v0")
    page.goto(clicked_on)
    expect(page.locator("#aliases .chip", has_text="production")).to_have_count(0)
    expect(page.locator("#activity li").first).to_contain_text(f"rolled back production from {version} to v0")
    page.close()
    assert not window.faults, window.faults


def test_the_reports_links_open_their_pages(browser: Browser, trained: tuple[Clone, Site, str]):
    clone, site, _ = trained
    clone.run("dvc-wandb", "report", "--html", "report.html")
    window = Window(browser.new_page(), site.url)
    window.open(site.sign_in_url())
    page = window.page
    page.goto((clone.path / "report.html").as_uri())
    links = {link.inner_text(): str(link.get_attribute("href")) for link in page.get_by_role("link").all()}
    assert {"prepare", "train", "evaluate", "mnist_dataset:v0", "mnist_model:v0"} <= links.keys()
    for words, address in links.items():
        window.open(address.removeprefix(site.url))
        expect(page.get_by_role("heading", level=1)).to_contain_text(words.partition(":")[0])
    page.close()
