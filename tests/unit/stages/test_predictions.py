"""Predictions are kept as they were, for any number of classes; those of ten classes in one character each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvc_wandb import DvcWandbError
from stages import dataset, predictions
from stages.pictures import draw, shortened


@given(st.integers(2, 1000).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.integers(0, k - 1), min_size=1))))
def test_what_was_written_is_read(tmp_path_factory, drawn: tuple[int, list[int]]):
    classes, labels = drawn
    file = tmp_path_factory.mktemp("predictions") / "predictions.json"
    predictions.write(file, "e", np.array(labels), {"m": np.array(labels)}, classes)
    assert predictions.read(file, "e", classes, len(labels))["m"].tolist() == labels
    assert predictions.read(file, "other pictures", classes, len(labels)) == {}
    assert predictions.read(file, "e", classes, len(labels) + 1) == {}


def test_of_ten_classes_each_is_a_character_and_of_more_it_is_not(tmp_path: Path):
    """25 and 7 were written as "257"."""
    file = tmp_path / "predictions.json"
    predictions.write(file, "e", np.array([7, 2]), {}, 10)
    assert json.loads(file.read_text())["actual"] == "72"
    predictions.write(file, "e", np.array([25, 7]), {}, 26)
    assert json.loads(file.read_text())["actual"] == "2507"


def test_the_table_of_evaluation_holds_names_however_odd(tmp_path: Path):
    classes = ["mixed up", "a,b", 'quoted "c"', "nan", ""]
    file = tmp_path / "confusion.csv"
    file.write_text('actual,predicted\nmixed up,"a,b"\n"quoted ""c""",nan\n"",mixed up\n')
    actual, predicted = predictions.of_evaluation(file, classes, 3)
    assert (actual.tolist(), predicted.tolist()) == ([0, 2, 4], [1, 3, 0])
    for others, count in ((classes, 4), (classes[:3], 3)):
        with pytest.raises(DvcWandbError, match="is not about the pictures in data/mnist"):
            predictions.of_evaluation(file, others, count)


def test_the_evaluations_md5_tells_classes_of_other_names_apart(tmp_path: Path):
    (tmp_path / "eval.npz").write_bytes(b"pictures")
    digits = dataset.evaluation_md5(tmp_path)
    (tmp_path / "classes.json").write_text('["a", "b"]')
    assert dataset.evaluation_md5(tmp_path) != digits
    assert dataset.load_classes(tmp_path) == ["a", "b"]


def test_a_sheet_of_pictures_of_any_shape(tmp_path: Path):
    from PIL import Image

    file, caption = tmp_path / "sheet.png", f"{shortened('a name that is very long')} taken for b, 100%"
    assert shortened("a name that is very long") == "a name that i…"
    red = np.zeros((64, 48, 3)) + np.array([1.0, 0, 0])
    draw(file, [(red, caption), (None, "and 3 more")], without="")
    with Image.open(file) as sheet:
        assert sheet.mode == "RGB"
        assert sheet.getpixel((30, 40)) == (255, 0, 0)
        assert sheet.size[0] > 5 * 132  # the caption is wider than a cell was
    draw(file, [(np.full((30, 30, 1), 0.5), "grey")], without="")
    with Image.open(file) as sheet:
        assert (sheet.mode, sheet.getpixel((40, 40))) == ("L", 128)  # no negative of a photograph
    ink = np.zeros((28, 28, 1))
    ink[10:14] = 1.0
    draw(file, [(ink, "7")], without="")
    with Image.open(file) as sheet:
        assert (sheet.getpixel((40, 20)), sheet.getpixel((40, 42))) == (255, 0)  # ink on paper


@pytest.mark.parametrize(
    "text",
    [
        '<<<<<<< HEAD\n{"eval_md5": "e"}\n=======\n{}\n>>>>>>> side\n',
        "",
        "[]",
        '{"eval_md5": "e", "models": []}',
        '{"eval_md5": "e", "models": {"m": 5}}',
    ],
)
def test_a_file_that_cannot_be_read_says_nothing_and_stops_nothing(tmp_path: Path, text: str):
    """It stays from run to run, so git leaves the marks of a merge conflict in it."""
    file = tmp_path / "predictions.json"
    file.write_text(text)
    assert predictions.read(file, "e", 10, 3) == {}
