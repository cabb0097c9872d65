"""What is refused though whoever is trusted signed it: a statement of another form, a folder that leads elsewhere."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.provenance import check, digests, statement
from dvc_wandb.provenance.errors import OtherModelError

SHA = {"sha256": "1" * 64}
HASH = "a" * 40
STATEMENT: dict[str, Any] = {
    "subject": [{"name": "model.h5", "digest": SHA, "annotations": {"dvc": "1"}}],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {
        "buildDefinition": {
            "buildType": "https://dvc.org/doc/command-reference/repro",
            "externalParameters": {"stage": "train", "stages": {"train": {"command": "x", "parameters": {}}}},
            "resolvedDependencies": [
                {"name": "commit", "digest": {"gitCommit": HASH}},
                {"name": "data", "digest": {"dirHash": "2" * 64}, "annotations": {"readBy": ["train"]}},
                {"name": "pkg:pypi/a@1", "annotations": {"hashes": ["sha256:3"]}},
                {"name": "s3://there", "uri": "s3://there"},
            ],
        },
        "runDetails": {"byproducts": [{"name": "decision", "annotations": {"record": "p.json", "commit": HASH}}]},
    },
}
DEPENDENCIES = "predicate.buildDefinition.resolvedDependencies"


def changed(path: str, value: Any) -> dict[str, Any]:
    """The statement with another value at a path such as subject.0.name; without the field for `...`."""
    made: Any = copy.deepcopy(STATEMENT)
    *above, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    at = made
    for step in above:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return made


def test_ours_is_of_our_form():
    assert statement.subject(STATEMENT)["name"] == "model.h5"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("predicateType", "https://example.com", "none of the provenance of a DVC output"),
        ("predicate", [], "none of the provenance of a DVC output"),
        ("predicate.buildDefinition.buildType", ..., "none of the provenance of a DVC output"),
        ("subject", {}, "its subject is no list"),
        ("subject", [1, 2], "it has 2 subjects, and must have one"),
        ("subject.0", "model.h5", "subject 1: it is no object"),
        ("subject.0.name", 5, "subject 1: its name is no text"),
        ("subject.0.digest", {"sha256": 5}, "subject model.h5: a digest of it is no text"),
        ("subject.0.digest", {"sha512": "0"}, r"neither a sha256 nor a dirHash, .* \(it has sha512\)"),
        ("subject.0.annotations", 5, "its annotations is no object"),
        ("predicate.buildDefinition.externalParameters.stage", ..., "it lacks externalParameters.stage"),
        ("predicate.buildDefinition.externalParameters.stages", {"train": None}, "the stage train is no object"),
        (DEPENDENCIES, ..., "it lacks resolvedDependencies"),
        (DEPENDENCIES, [], "it must name one commit"),
        (f"{DEPENDENCIES}.0.digest.gitCommit", "HEAD", "'HEAD' is no full hash of a commit"),
        (f"{DEPENDENCIES}.0.digest.gitCommit", "--help", "'--help' is no full hash of a commit"),
        (f"{DEPENDENCIES}.1.digest", {"md5": "0"}, r"dependency data: it has neither .* \(it has md5\)"),
        (f"{DEPENDENCIES}.1.annotations.readBy", [[]], "dependency data: its readBy are no stages"),
        (f"{DEPENDENCIES}.2.annotations.hashes", 5, "dependency pkg:pypi/a@1: its annotations.hashes is no list"),
        ("predicate.runDetails", ..., "it lacks runDetails"),
        ("predicate.runDetails.byproducts", {}, "byproducts is no list"),
        ("predicate.runDetails.byproducts.0.annotations", {}, "byproduct decision: it lacks annotations.record"),
        ("predicate.runDetails.byproducts.0.annotations.commit", "main", "'main' is no full hash of a commit"),
    ],
)
def test_a_field_that_is_wrong_is_named(path: str, value: Any, said: str):
    with pytest.raises(DvcWandbError, match=said):
        statement.subject(changed(path, value))


@pytest.mark.parametrize(
    ("add", "what"),
    [
        (lambda at: at.symlink_to("deep"), "a link to no file"),
        (lambda at: at.symlink_to("nowhere"), "a link to no file"),
        (os.mkfifo, "neither a file nor a folder"),
    ],
    ids=["a link to a folder", "a link to nothing", "a pipe"],
)
def test_a_folder_that_leads_out_of_itself_is_not_what_was_signed(
    tmp_path: Path, add: Callable[[Path], Any], what: str
):
    """Nobody looked behind it; whoever loads the model may."""
    model = tmp_path / "model"
    (model / "deep").mkdir(parents=True)
    (tmp_path / "cached").write_text("two\n")
    (model / "deep/b").symlink_to(tmp_path / "cached")  # as DVC links files to its cache
    (model / "empty").mkdir()
    digest = digests.of_folder({"deep/b": digests.of_file(model / "deep/b")})
    stated = changed("subject", [{"name": "model", "digest": digest}])
    check.check_subject(stated, model)
    add(model / "more")
    with pytest.raises(OtherModelError, match=f"more in it is {what}"):
        check.check_subject(stated, model)
