"""Pictures of any size, channels and classes, as arrays and in folders; what is wrong with them in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvc_wandb import DvcWandbError
from stages.own_data import Pools, from_folder, from_npz, scaled

X, Y = np.zeros((60, 28, 28), "uint8"), np.arange(60) % 10


def read(folder: Path, **arrays: np.ndarray) -> Pools:
    np.savez(folder / "own.npz", **arrays)  # pyright: ignore[reportArgumentType]
    return from_npz(folder / "own.npz")


def save(file: Path, pixels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (X, (28, 28, 1)),
        (X[..., np.newaxis], (28, 28, 1)),
        (X.reshape(60, 784), (28, 28, 1)),
        (np.zeros((60, 64, 48, 3), "uint8"), (64, 48, 3)),
        (np.zeros((60, 7, 9), "float64"), (7, 9, 1)),
        (np.zeros((60, 7, 9, 5), "int16"), (7, 9, 5)),
    ],
    ids=["grey", "one channel", "flat", "colour", "floats", "five channels"],
)
def test_the_shape_is_that_of_the_data(tmp_path: Path, x: np.ndarray, shape: tuple[int, ...]):
    (found, _), *_ = read(tmp_path, x_train=x, y_train=Y).splits
    assert (found.shape, found.dtype) == ((60, *shape), np.uint8)


@pytest.mark.parametrize(
    ("y", "classes", "first"),
    [
        (Y, [str(label) for label in range(10)], 0),
        (Y.reshape(-1, 1), [str(label) for label in range(10)], 0),
        (Y.astype("float32") + 1, [str(label + 1) for label in range(10)], 0),
        (Y % 2 == 0, ["0", "1"], 1),
        (Y * 7 - 3, ["-3", "4", "11", "18", "25", "32", "39", "46", "53", "60"], 0),
        (np.array(["mixed up", "bob"] * 30), ["bob", "mixed up"], 1),
        (np.char.encode(np.array(["a", "ü"] * 30), "utf-8"), ["a", "ü"], 0),
        (np.array(["10", "9", "nan"] * 20), ["9", "10", "nan"], 1),
    ],
    ids=["from 0", "a column", "from 1", "two", "any numbers", "names", "text of bytes", "numbers as names"],
)
def test_the_classes_are_those_of_the_labels(tmp_path: Path, y: np.ndarray, classes: list[str], first: int):
    found = read(tmp_path, x_train=X, y_train=y)
    assert found.classes == classes
    assert found.splits[0][1][0] == first
    assert found.splits[0][1].dtype == np.int64


def test_classes_may_have_names(tmp_path: Path):
    names = np.array(["circle", "square", "star", "none"])
    assert read(tmp_path, x_train=X, y_train=Y % 4, classes=names).classes == names.tolist()
    by_name = read(tmp_path, x_train=X, y_train=names[Y % 3], classes=names)
    assert by_name.classes == names.tolist()
    assert by_name.splits[0][1][:4].tolist() == [0, 1, 2, 0]


def test_a_thousand_classes(tmp_path: Path):
    found = read(tmp_path, x_train=np.zeros((1000, 4, 4)), y_train=np.arange(1000) + 5)
    assert found.classes[-1] == "1004"
    assert found.splits[0][1][-1] == 999


def test_floats_in_0_to_1_and_numbers_to_255_are_the_same_pictures(tmp_path: Path):
    x = np.random.default_rng(1).integers(0, 256, (60, 5, 5), dtype="uint8")
    for same in (x.astype("int64"), x.astype("float64"), x / 255):
        (found, _), *_ = read(tmp_path, x_train=same, y_train=Y).splits
        assert np.array_equal(found[..., 0], x)
    (found, _), *_ = read(tmp_path, x_train=x > 100, y_train=Y).splits
    assert set(found.ravel().tolist()) == {0, 255}


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x_train": X.astype("float32") * np.nan, "y_train": Y}, "x_train holds NaN"),
        ({"x_train": np.zeros((60, 32)), "y_train": Y}, "x_train has shape (60, 32); it must be (n, height, width)"),
        ({"x_train": np.zeros((60, 3, 32, 32)), "y_train": Y}, "the channels must come last"),
        ({"x_train": X, "y_train": Y[:50]}, "y_train has shape (50,); x_train has 60 pictures"),
        ({"x_train": X, "y_train": Y + 0.5}, "y_train holds numbers that are not whole, such as 0.5"),
        ({"x_train": X, "y_train": Y * 0}, "it has 1 classes; it must have from 2 to 1,000"),
        ({"x_train": X, "y_train": Y, "classes": np.array(["a", "b"])}, "labels from 0 to 9; classes names 2"),
        ({"x_train": X, "y_train": Y % 2, "classes": np.array(["a", "a"])}, "two of the classes have the same name"),
        ({"x_train": X, "y_train": Y.astype(str), "classes": np.array(["a", "0"])}, "the label '1', which is none"),
        ({"x_train": X - 5.0, "y_train": Y}, "x_train holds values from -5.0"),
        ({"x_train": X.astype(str), "y_train": Y}, "x_train is of type <U"),
        ({"x_train": X.astype(complex), "y_train": Y}, "x_train is of type complex"),
        ({"x_train": X + 1.00001, "y_train": Y}, "x_train holds values from 1.00001 to 1.00001; they must lie in"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "x_train and y_train are empty"),
        ({"x_train": X, "y_train": Y, "x_eval": X}, "may have both x_eval and y_eval"),
        ({"x_train": X, "y_train": Y, "x_eval": X[:, :9], "y_eval": Y}, "of 28×28×1, x_eval of 9×28×1"),
        ({"x_train": X, "y_train": Y % 9, "x_eval": X, "y_eval": Y}, "y_eval has the class '9', which y_train hasn't"),
    ],
)
def test_arrays_that_are_no_pictures_with_labels(tmp_path: Path, arrays: dict[str, np.ndarray], says: str):
    with pytest.raises(DvcWandbError, match=re.escape(says)):
        read(tmp_path, **arrays)


def test_a_folder_of_pictures(tmp_path: Path):
    red = np.zeros((6, 4, 3), "uint8") + np.array([255, 0, 0], "uint8")
    for name in ("ann", "mixed up", "10", "9"):
        save(tmp_path / "faces" / name / "b.png", red)
        save(tmp_path / "faces" / name / "a.JPG", red)
    save(tmp_path / "faces/ann/grey.png", np.full((6, 4), 7, "uint8"))
    save(tmp_path / "faces/ann/deep.png", np.full((6, 4), 7 * 256, "uint16"))
    (tmp_path / "faces/.hidden").mkdir()
    (tmp_path / "faces/9/notes.txt").write_text("left out")
    found = from_folder(tmp_path / "faces", None)
    (x, y), *_ = found.splits
    assert found.classes == ["9", "10", "ann", "mixed up"]
    assert y.tolist() == [0, 0, 1, 1, 2, 2, 2, 2, 3, 3]
    assert x.shape == (10, 6, 4, 3)
    assert x[1, 0, 0].tolist() == [255, 0, 0]
    assert x[6].max() == x[7].max() == 7  # deep.png, grey.png


def test_grey_pictures_in_a_folder_have_one_channel_and_are_scaled_to_one_size(tmp_path: Path):
    for at, name in enumerate("ab"):
        save(tmp_path / name / "one.png", np.full((8, 8 + at), 9, "uint8"))
    with pytest.raises(DvcWandbError, match=r"has 8×8 pixels .* has 8×9\. Set data\.image_size .* \[8, 8\]"):
        from_folder(tmp_path, None)
    (x, _), *_ = from_folder(tmp_path, (5, 3)).splits
    assert x.shape == (2, 5, 3, 1)
    assert (x == 9).all()


def test_a_folder_that_holds_no_pictures(tmp_path: Path):
    with pytest.raises(DvcWandbError, match="holds no folders"):
        from_folder(tmp_path, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DvcWandbError, match="empty holds no picture"):
        from_folder(tmp_path, None)
    (tmp_path / "empty/one.png").write_text("text")
    with pytest.raises(DvcWandbError, match=r"one\.png can't be read as a picture"):
        from_folder(tmp_path, None)


def test_pictures_of_any_channels_are_scaled():
    assert scaled(np.full((2, 8, 6, 5), 3, "uint8"), (4, 2)).tolist() == np.full((2, 4, 2, 5), 3).tolist()
