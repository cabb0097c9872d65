"""Makes the pictures of the registry's pages in this folder, from a real run of the pipeline.

Run by `make screenshots`. It clones the working tree into a temporary folder, runs the pipeline there twice, with
another number of epochs the second time, and looks at each page with Chromium.
"""

from __future__ import annotations

import io
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import launch
from tests.conftest import Clone, clone_into
from wandb_registry import daemon

HERE = Path(__file__).parent
COLORS = 128  # of a palette: enough for pages, a third of the bytes
LARGEST = 150_000
MODEL = "/registry/model?selectionPath=local%2Fmodel-registry%2FMNIST-dev"


@dataclass(frozen=True)
class Shot:
    """One picture: its name, the address, and how it is looked at."""

    name: str
    address: str
    dark: bool = False
    phone: bool = False


def shots(project: str, runs: dict[str, str]) -> list[Shot]:
    """Every page; `runs` gives the address of the newest run of each stage."""
    artifacts = f"{project}/artifacts"
    return [
        Shot("home", "/"),
        Shot("models", "/registry/model"),
        Shot("model", MODEL),
        Shot("model-dark", MODEL, dark=True),
        Shot("model-version", f"{MODEL}&view=membership&version=v1"),
        Shot("model-version-phone", f"{MODEL}&view=membership&version=v1", phone=True),
        Shot("compare", f"{MODEL}&view=compare&from=v0&to=v1"),
        Shot("artifacts", artifacts),
        Shot("version", f"{artifacts}/dataset/mnist_dataset/v0"),
        Shot("file", f"{artifacts}/code/stages-train.py/v0/files/train.py"),
        Shot("table", f"{artifacts}/dataset/mnist_dataset/v0/files/eval_table.table.json"),
        Shot("lineage", f"{artifacts}/model/mnist_model/v1/lineage"),
        Shot("lineage-dark", f"{artifacts}/model/mnist_model/v1/lineage", dark=True),
        Shot("lineage-project", f"{project}/lineage"),
        Shot("workspace", f"{project}?metric=epoch/"),
        Shot("workspace-dark", f"{project}?metric=epoch/", dark=True),
        Shot("workspace-phone", f"{project}?metric=epoch/", phone=True),
        Shot("run-train", runs["train"]),
        Shot("run-evaluate", runs["evaluate"]),
    ]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "clone").mkdir()
        clone = clone_into(Path(folder) / "clone")
        clone.env["REGISTRY_IDLE_SECONDS"] = "600"
        try:
            run_pipeline(clone)
            look(clone)
        finally:
            clone.run("wandb-registry", "stop", ok=False)
    return 0


def run_pipeline(clone: Clone) -> None:
    """Two versions of the model, so that there is something to compare."""
    clone.git("rm", "--quiet", "production.json")  # a new registry lacks the model that it says is in production
    for epochs in (3, 5):
        print(f"The pipeline with {epochs} epochs …", flush=True)
        clone.set(train__epochs=epochs)
        clone.run("dvc", "repro")
        clone.git("add", "--all")
        clone.git("commit", "--quiet", "--message", f"Train for {epochs} epochs")
        clone.run("dvc-wandb", "mirror")


def look(clone: Clone) -> None:
    store = clone.path / ".registry"
    daemon.ensure(store)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context()
        page = context.new_page()
        page.goto(daemon.login_url(store) or "")
        base = page.url.rstrip("/")
        state = context.storage_state()
        project = page.get_by_role("region", name="Projects").get_by_role("rowheader").get_by_role("link").first
        address = project.get_attribute("href") or ""
        page.goto(base + address)
        runs = {}
        for stage in ("train", "evaluate"):
            link = page.get_by_role("link", name=stage, exact=True).first
            runs[stage] = link.get_attribute("href") or ""
        for shot in shots(address, runs):
            take(browser, dict(state), base, shot)
        browser.close()


def take(browser: Browser, state: dict, base: str, shot: Shot) -> None:
    """Looks at one page and keeps it as a small PNG."""
    context = browser.new_context(
        storage_state=state,  # type: ignore[arg-type]
        viewport={"width": 390, "height": 844} if shot.phone else {"width": 1280, "height": 800},
        color_scheme="dark" if shot.dark else "light",
    )
    page = context.new_page()
    answer = page.goto(base + shot.address, wait_until="networkidle")
    assert answer is not None
    assert answer.status == 200, f"{shot.address} answers {answer.status}"
    picture = with_few_colors(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    file = HERE / f"{shot.name}.png"
    picture.save(file, optimize=True)
    context.close()
    assert file.stat().st_size < LARGEST, f"{file.name} has {file.stat().st_size} bytes"
    print(f"{file.name}  {file.stat().st_size // 1000} kB  {shot.address}")


def with_few_colors(picture: Image.Image) -> Image.Image:
    """The picture in COLORS colours: the most frequent as they are, so that surfaces keep theirs, and the others chosen
    by coverage, so that thin lines don't share one.
    """
    counted: Any = picture.getcolors(picture.width * picture.height) or []  # (times, (red, green, blue))
    frequent = [color for _, color in sorted(counted, reverse=True)[: COLORS // 2]]
    covering = picture.quantize(COLORS // 2, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(channel for color in frequent for channel in color), *covering[: COLORS // 2 * 3]])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


if __name__ == "__main__":
    sys.exit(main())
