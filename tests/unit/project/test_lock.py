"""Entries of dvc.lock: what names a content and an execution in the registry."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvc_wandb import content_alias
from dvc_wandb.errors import DvcWandbError
from tests.unit.executions import content, execution

TRAIN = execution("train", "data train.py", "model.h5 history.csv", params={"params.yaml": {"epochs": 5}})


@pytest.mark.parametrize("md5", ["0" * 32, "0" * 32 + ".dir", "an-etag_1"])
def test_a_content_alias_shows_the_md5(md5: str):
    assert content("data", md5).alias == f"dvc-{md5}"
    assert content_alias.parse(f"dvc-{md5}") == md5
    assert content_alias.find_md5(["latest", f"dvc-{md5}"]) == md5


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_content_alias_is_one_that_wandb_takes_and_its_own(one: str, other: str):
    """The etags of web servers hold quotes and slashes."""
    aliases = [content("data", md5).alias for md5 in (one, other)]
    assert all(re.fullmatch(r"dvc-[\w.-]{1,100}", alias) for alias in aliases)
    assert (aliases[0] == aliases[1]) == (one == other)


def test_a_part_of_a_folder_is_mirrored_by_the_folder():
    folder = content("data", "0" * 32 + ".dir")
    part = content("data/one.csv", folder_out=folder)
    assert part.versioned == folder
    assert folder.versioned == folder
    assert (folder.is_folder, part.is_folder) == (True, False)


@pytest.mark.parametrize(
    "changed",
    [
        {"stage": "fit"},
        {"cmd": "python other.py"},
        {"params": {"params.yaml": {"epochs": 6}}},
        {"params": {"other.yaml": {"epochs": 5}}},
        {"deps": (content("data", "another"), *TRAIN.deps[1:])},
        {"deps": TRAIN.deps[:1]},
    ],
)
def test_what_an_execution_was_given_changes_both_of_its_tags(changed: dict[str, Any]):
    other = replace(TRAIN, **changed)
    assert other.tag != TRAIN.tag
    assert other.inputs_tag != TRAIN.inputs_tag


def test_other_bytes_from_the_same_inputs_are_another_execution_given_the_same():
    other = replace(TRAIN, outs=(content("model.h5", "another"), *TRAIN.outs[1:]))
    assert other.tag != TRAIN.tag
    assert other.inputs_tag == TRAIN.inputs_tag


@pytest.mark.parametrize(
    "changed", [{"desc": "Fits"}, {"job_type": "fit"}, {"meta": {"links": {}}}, {"has_persisted_out": True}]
)
def test_what_only_describes_an_execution_changes_no_tag(changed: dict[str, Any]):
    other = replace(TRAIN, **changed)
    assert (other.tag, other.inputs_tag) == (TRAIN.tag, TRAIN.inputs_tag)


def test_a_file_is_found_by_its_name_among_deps_and_outs():
    stage = execution("train", "data/x.npz", "models/model.h5")
    assert stage.find_content("model.h5", "deps", "outs").path == "models/model.h5"
    with pytest.raises(DvcWandbError, match=r"no single 'model.h5' among the deps of stage 'train': data/x.npz"):
        stage.find_content("model.h5", "deps")


def test_a_name_that_two_files_have_is_refused():
    with pytest.raises(DvcWandbError, match="no single 'x'"):
        execution("join", "a/x b/x").find_content("x", "deps")
