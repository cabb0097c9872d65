"""How far apart two files are, by their kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.report import file_differences, tolerance


@pytest.mark.parametrize(
    ("suffix", "first", "second", "said"),
    [
        (".json", '{"a": [1, 2.5]}', '{"a": [1, 2]}', "max abs difference 0.5 in a.1, 1 of 2 differ"),
        (".json", '{"a": "x", "b": 1}', '{"a": "y"}', "a: 'x' and 'y'; b is in one only"),
        (".json", '{"a": 1}', '{"a":  1}', "equal numbers in other bytes (8 and 9 bytes)"),
        (".json", '{"a": NaN}', '{"a": 1}', "a: NaN or infinity on one side"),
        (".json", "{", '{"a": 1}', "they can't be read as .json"),
        (".csv", "a,b\n1,2\n", "a,b\n1,4\n", "max abs difference 2 in row 2, column 2, 1 of 4 differ"),
        (".yaml", "a: {b: 1}\n", "a: {b: 4}\n", "max abs difference 3 in a.b, 1 of 1 differ"),
        (".bin", "abc", "abcd", "3 and 4 bytes"),
    ],
)
def test_how_far_apart_is_told_by_the_kind_of_file(tmp_path: Path, suffix: str, first: str, second: str, said: str):
    files = tmp_path / "one", tmp_path / "two"  # in DVC's cache a file has no suffix
    for file, text in zip(files, (first, second), strict=True):
        file.write_text(text)
    assert said in file_differences.describe(f"file{suffix}", *files).phrase


def arrays(tmp_path: Path, first: np.ndarray, second: np.ndarray) -> str:
    files = tmp_path / "one", tmp_path / "two"
    for file, array in zip(files, (first, second), strict=True):
        with file.open("wb") as target:
            np.save(target, array)
    return file_differences.describe("x.npy", *files).phrase


def test_unsigned_numbers_do_not_wrap_around(tmp_path: Path):
    assert "max abs difference 1 in" in arrays(tmp_path, np.array([1], np.uint8), np.array([2], np.uint8))


def test_nan_and_infinity_on_both_sides_are_equal(tmp_path: Path):
    odd = np.array([np.nan, np.inf, 1.0])
    assert "max abs difference 0.5" in arrays(tmp_path, odd, odd + np.array([0, 0, 0.5]))
    assert "NaN or infinity on one side" in arrays(tmp_path, odd, np.array([1.0, np.inf, 1.0]))


def test_other_shapes_and_texts_are_told_as_such(tmp_path: Path):
    assert "shape (2,) and (1,)" in arrays(tmp_path, np.array([1, 2]), np.array([1]))
    assert "other values" in arrays(tmp_path, np.array(["a" * 50]), np.array(["b" * 50]))


@pytest.mark.parametrize(
    ("suffix", "first", "second", "within"),
    [
        (".json", '{"a": 1.0}', '{"a": 1.5}', True),
        (".json", '{"a": 1.0}', '{"a": 1.6}', False),
        (".json", '{"a": 1}', '{"a":  1}', True),
        (".json", '{"a": 1, "b": "x"}', '{"a": 1, "b": "y"}', False),
        (".json", '{"a": 1}', '{"b": 1}', False),
        (".json", '{"a": NaN}', '{"a": 1}', False),
        (".json", "{", '{"a": 1}', False),
        (".npy", "1", "2", False),
        (".png", "one", "two", False),
    ],
)
def test_only_numbers_of_the_named_kind_are_near_enough(
    tmp_path: Path, suffix: str, first: str, second: str, within: bool
):
    files = tmp_path / "one", tmp_path / "two"
    for file, text in zip(files, (first, second), strict=True):
        file.write_text(text)
    difference = file_differences.describe(f"file{suffix}", *files)
    assert tolerance.parse("metrics=0.5").allows(f"file{suffix}", difference) == within


@pytest.mark.parametrize("text", ["", "metrics", "metrics=x", "metrics=-1", "weights=nan", "pictures=1", "metrics=1,"])
def test_what_is_no_tolerance_is_told(text: str):
    with pytest.raises(DvcWandbError, match="is no tolerance; write the largest difference of metrics or weights"):
        tolerance.parse(text)


def test_a_tolerance_that_is_given_twice_is_told():
    with pytest.raises(DvcWandbError, match="the tolerance of metrics is given twice"):
        tolerance.parse("metrics=1,metrics=2")
