"""Artifact names made from paths: readable, allowed by W&B, never the same for two paths."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from dvc_wandb.project.artifact_names import ArtifactNames, artifact_name

PATHS = st.from_regex(r"[a-c._ é-]{1,4}(/[a-c._ é-]{1,4}){0,2}", fullmatch=True)


def test_a_plain_path_stays_readable():
    assert artifact_name("reports/metrics.json") == "reports-metrics.json"


@given(PATHS, PATHS)
@example("a/b", "a-b")
@example("a-b", "a-b--" + "0" * 8)
@example("a b", "a-b")
def test_two_paths_never_share_a_name(one: str, other: str):
    assert (artifact_name(one) == artifact_name(other)) == (one == other)


def test_names_that_are_given_twice_or_look_like_a_path_stay_apart():
    names = ArtifactNames(
        {
            ".": {"best": {"path": "models/a.pkl"}, "data-b.csv": {"path": "c.csv"}},
            "sub": {"best": {"path": "../other.pkl", "type": "model"}},
        }
    )
    assert names.name_of("models/a.pkl") == "best"
    assert names.name_of("other.pkl").startswith("best--")
    assert names.name_of("data/b.csv") != names.name_of("c.csv") == "data-b.csv"
    assert names.declaration_of("other.pkl")["type"] == "model"
    assert (
        len(ArtifactNames({".": {"x" * 200: {"path": "long"}}}).name_of("long")) <= 128
    )  # W&B took none of the stage's outs


@given(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=300))
def test_any_path_gives_a_name_that_is_allowed(path: str):
    assert re.fullmatch(r"[\w.-]{1,128}", artifact_name(path), flags=re.ASCII)
