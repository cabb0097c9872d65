"""Pictures of other shapes and classes, from prepare to promote, where a model of the digits is in production."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wandb
import yaml
from PIL import Image

from tests.conftest import Clone, api_of

MAKE = ("make", "--no-print-directory", "--assume-old=.venv/installed", "--assume-old=packages.yaml")
LOOSE = {"promote__min_accuracy": 0, "promote__max_loss": 1000}
NAMES = np.array(["circle", "square", "star", "mixed up"])


def pictures(n: int, shape: tuple[int, ...], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bar, at a place of its own for each class."""
    rng = np.random.default_rng(7)
    y = rng.permutation(np.arange(n) % classes)
    x = rng.integers(0, 60, (n, *shape), dtype=np.uint8)
    for at, label in enumerate(y):
        top = int(label * (shape[0] - 4) / classes)
        x[at, top : top + 4, 3:-3, ...] = 220
    return x, y


def npz(n: int, shape: tuple[int, ...], classes: int, names: np.ndarray | None = None) -> Callable[[Path], str]:
    name = f"data/own-{n}.npz"  # of its own: by an undeclared dep's name DVC's run cache would know another test's

    def write(folder: Path) -> str:
        x, y = pictures(n, shape, classes)
        arrays = {"x_train": x, "y_train": y} | ({} if names is None else {"classes": names})
        np.savez(folder / name, **arrays)  # pyright: ignore[reportArgumentType]
        return name

    return write


def jpegs(folder: Path) -> str:
    x, y = pictures(120, (24, 24, 3), 3)
    for at, (picture, label) in enumerate(zip(x, y, strict=True)):
        file = folder / "data/faces" / NAMES[label + 1] / f"{at:04}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(file, quality=90)
    return "data/faces"


def committed(clone: Clone) -> str:
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "Other pictures")
    return clone.git("rev-parse", "HEAD").strip()


def whole_and_settled(clone: Clone) -> None:
    """As `make repro` and `make verify` leave a project: both sides agree, and nothing is left to run."""
    clone.run("dvc-wandb", "mirror")
    assert re.search(r"^5 stages, .* agree", clone.run("dvc-wandb", "verify").text, re.MULTILINE)
    assert clone.run("dvc", "repro").ran == []


def back_to_the_digits(clone: Clone, commit: str) -> None:
    lock = clone.git("show", f"{commit}:dvc.lock")
    clone.git("reset", "--quiet", "--hard", commit)
    clone.run("dvc", "repro")
    assert clone.read("dvc.lock") == lock
    assert clone.git("status", "--porcelain", "--untracked-files=no") == ""
    clone.run("dvc-wandb", "promote")
    whole_and_settled(clone)


@pytest.mark.soak
def test_colour_after_the_digits_waits_and_its_classes_have_names(own_pipeline: Clone):
    clone = own_pipeline
    source = npz(60, (16, 16, 3), 4, NAMES)(clone.path)
    clone.set(data__source=source, train__epochs=1, **LOOSE)
    done = clone.run("dvc", "repro", env={"WANDB_MODE": "disabled"})
    assert "the champion 4788251c takes pictures of 28×28×1, and the data has 16×16×3: this waits" in done.text
    assert done.text.count(source) == 2, "a sentence on what DVC doesn't know, and the line that it needs"
    assert json.loads(clone.read("production.json"))["model_md5"].startswith("4788251c")
    assert clone.read("reports/confusion.csv").splitlines()[1].split(",")[0] in NAMES
    clone.git("checkout", "--quiet", "--", ".")
    clone.run("dvc", "checkout", "--force")
    assert clone.run("dvc", "repro").ran == []


@pytest.mark.soak
def test_colour_after_the_digits_waits_for_a_person_whose_command_is_printed(
    own_pipeline: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clone, digits = own_pipeline, own_pipeline.git("rev-parse", "HEAD").strip()
    source = npz(120, (16, 16, 3), 4, NAMES)(clone.path)
    clone.set(data__source=source, train__epochs=1, train__learning_rate=0.01, **LOOSE)
    done = clone.run("dvc", "repro")
    assert "the champion 4788251c takes pictures of 28×28×1, and the data has 16×16×3: this waits" in done.text
    assert json.loads(clone.read("production.json"))["model_md5"].startswith("4788251c")

    # The line that DVC lacks to see the file change
    (line,) = re.findall(r"^ +prepare:\n +deps:\n +(- .*)\n", done.text, re.MULTILINE)
    (clone.path / "dvc.yaml").write_text(clone.read("dvc.yaml").replace("    deps:\n", f"    deps:\n      {line}\n", 1))
    assert source in yaml.safe_load(clone.read("dvc.yaml"))["stages"]["prepare"]["deps"]
    assert "none of its deps" not in clone.run("dvc", "repro").text
    committed(clone)

    # Who decides types what the sentence says
    ((version, _),) = re.findall(r"`make promote (VERSION=\S+) (REASON=\"…\")`", done.text)
    clone.run(*MAKE, "promote", version, "REASON=colour from now on")
    record = json.loads(clone.read("production.json"))
    assert version == f"VERSION=dvc-{record['model_md5']}"
    assert record["decided_by"] == "person"
    committed(clone)
    clone.run("dvc-wandb", "promote")
    whole_and_settled(clone)

    # The names are with the data, and in what people look at
    assert clone.read("reports/confusion.csv").splitlines()[1].split(",")[0] in NAMES
    out = yaml.safe_load(clone.read("dvc.lock"))["stages"]["prepare"]["outs"][0]
    api = api_of(clone, monkeypatch, tmp_path)
    table = api.artifact(f"model-registry-dev/mnist_dataset:dvc-{out['md5']}").get("eval_table")
    assert isinstance(table, wandb.Table)
    rows = dict(zip(table.columns, table.data[0], strict=True))
    assert rows["class"] == NAMES[rows["y_eval"]]
    assert np.asarray(rows["img"].image).shape == (16, 16, 3)

    back_to_the_digits(clone, digits)


@pytest.mark.soak
@pytest.mark.parametrize(
    "make",
    [
        npz(900, (32, 32, 3), 5),
        npz(1560, (28, 28), 26),
        npz(400, (28, 28), 2),
        npz(600, (64, 48), 4, NAMES),
        jpegs,
    ],
    ids=["colour", "26 classes", "2 classes", "64×48", "a folder of JPEGs"],
)
def test_other_pictures_to_the_end_and_back(own_pipeline: Clone, make: Callable[[Path], str]):
    """Under a name of their own, as the sentence says, they are the first of their kind."""
    clone, digits = own_pipeline, own_pipeline.git("rev-parse", "HEAD").strip()
    clone.set(data__source=make(clone.path), **LOOSE)
    assert "this waits for a person" in clone.run("dvc", "repro").text
    committed(clone)
    whole_and_settled(clone)
    clone.set(registered_model="model-registry/others")
    assert "no champion yet: model" in clone.run("dvc", "repro").text
    committed(clone)
    clone.run("dvc-wandb", "promote")
    whole_and_settled(clone)
    back_to_the_digits(clone, digits)
