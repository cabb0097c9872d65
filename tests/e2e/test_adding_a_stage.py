"""docs/adding-a-stage.md does what it says; the same pipeline runs with another framework."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dvc_wandb import TrackedRun
from tests.conftest import Clone
from tests.working_tree import ROOT

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/adding-a-stage.md").read_text()


def block(language: str, start: str) -> str:
    """What the page shows in `language` that starts so."""
    shown = [textwrap.dedent(one) for one in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)]
    return next(one for one in shown if one.lstrip().startswith(start))


@pytest.fixture
def extended(pipeline: Clone) -> Iterator[Clone]:
    """The pipeline with the page's stage."""
    (pipeline.path / "stages/explain.py").write_text(block("python", '"""Show'))
    entry = textwrap.indent(block("yaml", "explain:\n  desc"), "  ")
    text = pipeline.read("dvc.yaml").replace("\nartifacts:\n", f"\n{entry}\nartifacts:\n")
    (pipeline.path / "dvc.yaml").write_text(text)
    section = block("yaml", "explain:\n  patch")
    (pipeline.path / "params.yaml").write_text(f"{pipeline.read('params.yaml')}\n{section}")
    yield pipeline
    pipeline.git("checkout", "--quiet", "--", ".")
    pipeline.git("clean", "--quiet", "-fd", "--", "stages", "reports")


@pytest.mark.soak
def test_a_stage_is_a_file_and_an_entry(extended: Clone):
    extended.set(explain__patch=14)
    assert extended.run("dvc", "repro", "explain").ran == ["explain"]
    assert "agree" in extended.run("dvc-wandb", "verify", "explain").text
    assert (extended.path / "reports/explain.png").read_bytes().startswith(b"\x89PNG")
    assert "Show where the model looks" in extended.run("python", "-m", "stages.explain", "--help").text

    extended.set(explain__patch=0)
    done = extended.run("dvc", "repro", "explain", ok=False)
    assert "explain.patch is 0; it must be a whole number from 1 to 1,000 pixels" in done.text
    assert (extended.path / "reports/explain.png").exists()


@pytest.mark.soak
def test_the_same_pipeline_with_scikit_learn(clone: Clone):
    inside = Clone(clone.path / "examples/scikit-learn", clone.env)
    assert inside.run("dvc", "repro").ran == ["prepare", "train", "register", "evaluate", "promote"]
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "The digits of scikit-learn")
    try:
        inside.run("dvc-wandb", "mirror")
        inside.run("dvc-wandb", "promote")
        assert re.search(r"^5 stages, \d+ edges, \d+ files: dvc.lock and the registry agree", verify(inside), re.M)
        assert json.loads(inside.read("metrics.json"))["accuracy"] > 0.9
        assert inside.run("dvc", "repro").ran == []
    finally:
        inside.run("wandb-registry", "stop", ok=False)


def verify(clone: Clone) -> str:
    return clone.run("dvc-wandb", "verify").text


def test_the_example_is_no_part_of_the_projects_own_pipeline(pipeline: Clone):
    assert "scikit" not in pipeline.run("dvc", "stage", "list", "--all").text
    assert set(yaml.safe_load((ROOT / "examples/scikit-learn/dvc.yaml").read_text())["stages"]) == set(
        yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    )


def test_the_page_on_tracked_run_has_all_its_methods():
    page = Path(ROOT / "docs/tracked_run.md").read_text()
    public = {name for name in vars(TrackedRun) if name[0] != "_"} - {"complete", "abandon"}  # tracked_run's own
    assert set(re.findall(r"^\| `run\.(\w+)\(", page, re.MULTILINE)) == public
