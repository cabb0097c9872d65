"""What a user can get wrong ends in one sentence that names the value, the file and what is allowed."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.conftest import Clone, clone_into

OFF = {"WANDB_MODE": "disabled"}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, pipeline: Clone) -> Clone:
    """A clone with the data and the model of `pipeline`, to spoil."""
    path = tmp_path_factory.mktemp("bad") / "clone"
    path.mkdir()
    made = clone_into(path)
    for folder in ("data", "models", ".dvc/cache"):
        shutil.copytree(pipeline.path / folder, path / folder, dirs_exist_ok=True)
    return made


@pytest.fixture(autouse=True)
def put_back(bad: Clone) -> Iterator[None]:
    yield
    bad.git("checkout", "--quiet", "--", ".")


def refused(clone: Clone, stage: str, **env: str) -> str:
    """Run one stage script that must refuse: returns its one sentence, having checked that nothing changed."""
    before = outputs(clone)
    done = clone.run("python", "-m", f"stages.{stage}", ok=False, env={**OFF, **env})
    assert done.code == 1
    assert "Traceback" not in done.text
    lines = [line for line in done.text.splitlines() if line.startswith(f"{stage}: ")]
    assert len(lines) == 1, done.text
    assert outputs(clone) == before
    return lines[0]


def mend(clone: Clone, sentence: str) -> None:
    """Type what the sentence says."""
    (command,) = re.findall(r"`(dvc [^`]+)`", sentence)
    clone.run(*command.split(), env=OFF)


def outputs(clone: Clone) -> dict[Path, bytes]:
    """What the stages made; no walk through .dvc, where a recorder may be tidying up."""
    places = [clone.path / name for name in ("data", "models", "reports", "production.json")]
    files = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("stage", "name", "value", "says"),
    [
        ("prepare", "data__source", "cifar100", "data.source is 'cifar100'; it must be one of mnist_5k"),
        ("prepare", "data__eval_size", 4000, "data.eval_size is 4,000, but mnist_5k has 800 pictures beside 4,200"),
        ("train", "train__epochs", 0, "train.epochs is 0; it must be a whole number from 1 to 10,000 passes"),
        ("train", "model__pool_size", 4, "model.kernel_size 7 with model.pool_size 4 leaves nothing of 28×28 pixels"),
        ("register", "registered_model", "model-registry/b:c", "registered_model is 'model-registry/b:c'; it must be"),
        ("promote", "promote__branches", "main", "promote.branches is 'main'; it must be a list"),
        *(
            pytest.param(*wrong, marks=pytest.mark.soak)
            for wrong in (
                ("prepare", "data__train_size", 9000, "data.train_size is 9,000, but mnist_5k has 5,000 pictures"),
                ("prepare", "data__train_size", -1, "data.train_size is -1; it must be auto, or a whole number"),
                ("prepare", "data__image_size", "[28]", "data.image_size is [28]; it must be auto, or two values"),
                ("train", "train__optimizer", "adamm", "train.optimizer is 'adamm'; it must be one of adam"),
                ("train", "train__batch_size", 1.5, "train.batch_size is 1.5; it must be a whole number"),
                ("train", "train__validation_split", 0.9999, "train.validation_split is 0.9999; of 4200 pictures"),
                ("train", "train__validation_split", 1, "train.validation_split is 1; it must be a number above 0"),
                ("train", "model__filters", "[32]", "model.filters is [32]; it must be two values such as [32, 64]"),
                ("train", "train__learning_rate", 0, "train.learning_rate is 0; it must be auto, or a number above 0"),
                ("promote", "promote__min_accuracy", 95, "promote.min_accuracy is 95; it must be a number from 0 to 1"),
            )
        ),
    ],
)
def test_a_wrong_parameter(bad: Clone, stage: str, name: str, value: object, says: str):
    bad.set(**{name: value})
    if name == "model__pool_size":
        bad.set(model__kernel_size=7)
    assert says in refused(bad, stage)


def test_a_refused_repro_leaves_the_outputs_that_dvc_removes_before_it_runs_a_stage(bad: Clone):
    """In a fresh clone, where DVC's cache has nothing of what git keeps, history.csv was gone."""
    (history,) = [
        out for out in yaml.safe_load(bad.read("dvc.lock"))["stages"]["train"]["outs"] if "csv" in out["path"]
    ]
    (bad.path / ".dvc/cache/files/md5" / history["md5"][:2] / history["md5"][2:]).unlink()
    before = outputs(bad)
    bad.set(train__epochs=0)
    done = bad.run("dvc", "repro", ok=False, env=OFF)
    assert done.code != 0
    assert "Traceback" not in done.text
    assert outputs(bad) == before
    assert bad.git("status", "--porcelain").split() == ["M", "params.yaml"]


@pytest.mark.slow
def test_a_wrong_parameter_costs_a_second_and_not_the_start_of_tensorflow(bad: Clone):
    bad.set(train__validation_split=0.9999)
    done = bad.run("python", "-X", "importtime", "-m", "stages.train", ok=False, env=OFF)
    assert "of 4200 pictures it leaves none" in done.text
    assert not re.search(r"\| +(tensorflow|sklearn)$", done.text, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "seed", "evaluate"])
def test_a_section_that_is_missing_ends_before_dvc_removes_anything(bad: Clone, name: str):
    """DVC removed the model, and only then saw that the parameters of `train` were not there."""
    (bad.path / "params.yaml").write_text(bad.read("params.yaml").replace(f"\n{name}:", f"\n{name}s:"))
    before = outputs(bad)
    done = bad.run("dvc", "repro", ok=False, env=OFF)
    assert done.code != 0
    assert re.search(rf"failed to parse 'stages.\w+.desc' .* Could not find '{name}", done.text)
    assert outputs(bad) == before
    assert "Could not find" in refused(bad, "train")


@pytest.mark.slow
def test_a_parameter_that_is_misspelled_is_named_and_the_outputs_come_back(bad: Clone):
    (bad.path / "params.yaml").write_text(bad.read("params.yaml").replace("  optimizer:", "  optimiser:"))
    before = outputs(bad)
    done = bad.run("dvc", "repro", ok=False, env=OFF)
    assert done.ran == ["train"]
    assert "params.yaml has no train.optimizer for this stage; it must be one of adam" in done.text
    assert "It has train.optimiser, which nothing reads." in done.text
    assert outputs(bad) == before
    bad.git("checkout", "--quiet", "params.yaml")
    (bad.path / "params.yaml").write_text(
        bad.read("params.yaml").replace("  optimizer:", "  momentum: 1\n  optimizer:")
    )
    assert "params.yaml: train.momentum is read by nothing" in refused(bad, "train")


def test_dvc_looks_for_each_section_before_it_runs_a_stage(bad: Clone):
    """It does so for what is interpolated; the message then comes before outputs are removed."""
    text = bad.read("dvc.yaml")
    for stage in yaml.safe_load(text)["stages"].values():
        for name in stage["params"]:
            assert not isinstance(name, str) or re.search(rf"\$\{{{name}[.}}]", text), name


@pytest.mark.parametrize("stage", ["prepare", "train", "register", "evaluate", "promote"])
def test_help_explains_a_stage_and_runs_nothing(bad: Clone, stage: str):
    before = outputs(bad)
    done = bad.run("python", "-m", f"stages.{stage}", "--help")
    assert f"──▶ {stage} ──▶" in done.text
    assert f"the stage {stage} in dvc.yaml" in done.text
    assert outputs(bad) == before
    assert not (bad.path / ".registry").exists()


@pytest.mark.slow
def test_params_yaml_that_is_gone_or_broken(bad: Clone):
    bad.set(registered_model="[a]")
    assert "Cannot interpolate data of type 'list'" in refused(bad, "train")
    (bad.path / "params.yaml").write_text("train: [unclosed")
    assert "params.yaml" in refused(bad, "train")
    (bad.path / "params.yaml").unlink()
    assert "params.yaml" in refused(bad, "train")


X, Y = np.zeros((60, 28, 28), "uint8"), np.arange(60) % 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"a": X}, "holds a. It needs x_train and y_train"),
        ({"x_train": X[:5], "y_train": Y[:5]}, "own.npz leaves 4 pictures for training and 0 for evaluation"),
    ],
    ids=["names", "few"],
)
def test_an_npz_that_does_not_hold_pictures(bad: Clone, arrays: dict[str, np.ndarray], says: str):
    """tests/unit/stages/test_own_data.py has the rest."""
    np.savez(bad.path / "own.npz", **arrays)  # pyright: ignore[reportArgumentType]
    bad.set(data__source="own.npz")
    sentence = refused(bad, "prepare")
    assert "own.npz" in sentence
    assert says in sentence


@pytest.mark.slow
def test_an_npz_that_is_missing_or_no_npz(bad: Clone):
    bad.set(data__source="none.npz")
    assert "there is no file none.npz" in refused(bad, "prepare")
    (bad.path / "none.npz").write_text("text")
    assert "none.npz can't be read" in refused(bad, "prepare")
    with (bad.path / "none.npz").open("wb") as file:
        np.save(file, X)
    assert "none.npz can't be read" in refused(bad, "prepare")


@pytest.mark.slow
def test_more_training_digits_than_an_npz_has(bad: Clone):
    """It said that 0 were left for evaluation, and not which parameter was wrong."""
    np.savez(bad.path / "own.npz", x_train=X, y_train=Y)
    bad.set(data__source="own.npz", data__train_size=60)
    assert "data.train_size is 60, but own.npz has 60 pictures, and evaluation needs some" in refused(bad, "prepare")


@pytest.mark.slow
def test_an_npz_of_ones_own_outside_of_the_project(bad: Clone, tmp_path: Path):
    rng, own = np.random.default_rng(1), str(tmp_path / "own.npz")
    np.savez(own, x_train=rng.random((100, 28, 28)), y_train=np.arange(100) % 10)
    bad.set(data__source=own)
    shutil.copytree(bad.path / "data", bad.path / "kept")
    try:
        text = bad.run("python", "-m", "stages.prepare", env=OFF).text
        assert f"add the line\n      - {own}\nunder `deps:` of the stage prepare" in text
        with np.load(bad.path / "data/mnist/train.npz") as train, np.load(bad.path / "data/mnist/eval.npz") as rest:
            assert len(train["y_train"]) == 85
            assert len(rest["y_eval"]) == 14
    finally:
        shutil.rmtree(bad.path / "data")
        (bad.path / "kept").rename(bad.path / "data")


@pytest.mark.soak
def test_digits_that_can_neither_be_found_nor_downloaded(bad: Clone):
    bad.set(data__source="mnist")
    sentence = refused(bad, "prepare", HTTPS_PROXY="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
    assert "data.source: mnist is neither in Keras's cache nor could it be downloaded" in sentence


@pytest.mark.soak
def test_digits_in_keras_cache_need_no_network(bad: Clone):
    cache = Path(bad.env["HOME"]) / ".keras/datasets/fashion-mnist"
    cache.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for split, rows in (("train", 7000), ("t10k", 1200)):
        labels, images = np.arange(rows) % 10, rng.integers(0, 256, (rows, 28, 28))
        (cache / f"{split}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(bytes(8) + labels.astype("uint8").tobytes())
        )
        (cache / f"{split}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(bytes(16) + images.astype("uint8").tobytes())
        )
    bad.set(data__source="fashion_mnist")
    shutil.copytree(bad.path / "data", bad.path / "kept")
    try:
        text = bad.run("python", "-m", "stages.prepare", env=OFF).text
        assert "Generated 6000 rows of training data." in text
        assert "Generated 1000 rows of eval data." in text
        with np.load(bad.path / "data/mnist/eval.npz") as arrays:
            assert np.bincount(arrays["y_eval"]).tolist() == [100] * 10
    finally:
        shutil.rmtree(bad.path / "data")
        (bad.path / "kept").rename(bad.path / "data")


@pytest.mark.soak
def test_a_model_file_that_is_broken(bad: Clone):
    model = bad.path / "models/model.h5"
    whole = model.read_bytes()
    model.unlink()
    model.write_bytes(whole[:1000])
    sentence = refused(bad, "evaluate")
    assert "models/model.h5 can't be read as a Keras model" in sentence
    mend(bad, sentence)
    assert model.read_bytes() == whole


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("reports/metrics.json", "[]", "metrics.json can't be used (it has no loss"),
        ("models/registered.json", "{}", "registered.json can't be used (it has no registered_model"),
        ("production.json", "null", "production.json can't be used"),
        ("production.json", "{", "production.json can't be used (it is not JSON"),
    ],
)
def test_a_record_that_is_broken(bad: Clone, path: str, text: str, says: str):
    kept = bad.read(path)
    (bad.path / path).write_text(text)
    try:
        done = bad.run("python", "-m", "stages.promote", ok=False, env=OFF)
        assert done.code == 1
        assert says in done.text
        assert "Traceback" not in done.text
    finally:
        (bad.path / path).write_text(kept)


@pytest.mark.parametrize("name", ["train.npz", "classes.json"])
def test_a_file_of_the_dataset_that_is_broken(bad: Clone, name: str):
    """One that prepare would not have written is as bad as one that is cut off."""
    file = bad.path / "data/mnist" / name
    before = outputs(bad)
    whole = file.read_bytes() if file.exists() else b""
    file.unlink(missing_ok=True)
    file.write_bytes(whole[:1000])
    done = bad.run("python", "-m", "stages.train", ok=False, env=OFF)
    assert f"{name} can't be read" in done.text
    assert "Traceback" not in done.text
    mend(bad, done.text)
    assert outputs(bad) == before


@pytest.mark.slow
def test_a_dependency_that_is_missing(bad: Clone):
    (bad.path / "data/mnist").rename(bad.path / "data/kept")
    try:
        assert "data/mnist is missing. `dvc checkout data/mnist` brings it back." in refused(bad, "train")
        # What DVC had removed was gone where a stage ended before it had begun, by Ctrl-C too
        before = outputs(bad)
        assert bad.run("dvc", "repro", "--force", "--single-item", "train", ok=False, env=OFF).ran == ["train"]
        assert outputs(bad) == before
    finally:
        (bad.path / "data/kept").rename(bad.path / "data/mnist")


@pytest.mark.slow
def test_another_version_of_a_package_is_not_passed_off_as_the_locked_one(bad: Clone):
    (bad.path / "packages.yaml").write_text(bad.read("packages.yaml").replace("numpy: ", "numpy: 9"))
    assert "packages.yaml: numpy is 9" in refused(bad, "prepare")


@pytest.mark.slow
def test_a_disk_that_takes_no_more(bad: Clone):
    """A limit of 2 MB a file, which fails a write half-way as a full disk does."""
    limited = ("bash", "-c", 'ulimit -f 2000; exec "$@"', "-")
    before = bad.read("dvc.lock")
    done = bad.run("dvc", "repro", "--force", "--single-item", "prepare", ok=False, under=limited, env=OFF)
    assert done.code != 0
    assert f"prepare: File too large ({bad.path})" in done.text
    assert "Traceback" not in done.text
    assert bad.read("dvc.lock") == before
    bad.run("dvc", "checkout", "--force")
    assert "up to date" in bad.run("dvc", "status").text


@pytest.mark.slow
def test_a_registry_folder_that_cannot_be_written_is_a_registry_that_is_away(bad: Clone):
    (bad.path / ".registry").write_text("a file where the folder should be")
    try:
        done = bad.run("python", "-m", "stages.register")
        assert "register: not mirrored: " in done.text
        assert ".registry" in done.text
        assert "Traceback" not in done.text
    finally:
        (bad.path / ".registry").unlink()


def test_commands_outside_a_dvc_project(bad: Clone, tmp_path: Path):
    done = bad.run("dvc-wandb", "mirror", ok=False, under=("env", f"--chdir={tmp_path}"))
    assert done.code == 1
    assert "is not in a DVC project" in done.text
    assert "Traceback" not in done.text


@pytest.mark.slow
def test_a_stage_that_does_not_exist(bad: Clone):
    done = bad.run("dvc-wandb", "mirror", "trian", ok=False, env=OFF)
    assert done.code == 1
