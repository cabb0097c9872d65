"""The lines that `dvc-wandb init` prints are YAML that says what was meant, whatever paths and stages are called."""

from __future__ import annotations

import pytest
import yaml
from gto.constants import assert_name_is_valid

from dvc_wandb.project.artifact_names import artifact_name
from dvc_wandb.project.suggestions import dvc_names
from dvc_wandb.project.undeclared.yaml_lines import as_yaml, stage_lines

ODD = ["a b.txt", "a, b", "{x}", "#h", "y", "true", "null", "1", "1e5", "é.txt", "a: b", "-", "m.bin", "m_bin", "M.bin"]


@pytest.mark.parametrize("text", ODD)
def test_a_text_stays_one(text: str):
    assert yaml.safe_load(f"{{path: {as_yaml(text)}}}") == {"path": text}


def test_artifacts_have_names_that_dvc_takes_and_none_comes_twice():
    names = dvc_names({path: artifact_name(path) for path in ODD}, {"M_bin"})
    assert len(set(names.values())) == len(ODD)
    assert "M_bin" not in names.values()
    for name in names.values():
        assert_name_is_valid(name)
        assert yaml.safe_load(f"{name}: 1") == {name: 1}


@pytest.mark.parametrize(("in_do", "found"), [(False, {"a": {"deps": ["b"]}}), (True, {"a": {"do": {"deps": ["b"]}}})])
def test_a_foreach_has_in_its_do_what_a_stage_has_itself(in_do: bool, found: dict):
    lines = ["stages:", *stage_lines("a", ["deps:", "  - b"], in_do)]
    assert yaml.safe_load("\n".join(lines)) == {"stages": found}
