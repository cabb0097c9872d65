"""`dvc-wandb why`: what made an out's stage run the last time, and what has changed since."""

from __future__ import annotations

import pytest

from tests.conftest import Clone

WHY = ("dvc-wandb", "why")


def test_the_data_of_the_last_commit_made_the_model_run_again(history: Clone):
    found = history.json(*WHY, "model.txt", "--json")["model.txt"]
    fit, clean = found["then"]
    assert (fit["stage"], fit["indent"], clean["stage"], clean["indent"]) == ("fit", 0, "clean", 1)
    assert [line.split(":")[0] for line in fit["changed"]] == ["clean.csv"]
    assert [line.split(":")[0] for line in clean["changed"]] == ["raw.csv"]
    assert found["now"] == []
    shown = history.run(*WHY, "model.txt").text
    assert "fit last ran for" in shown
    assert "More data\n  after" in shown
    assert "since then: nothing has changed" in shown


def test_a_changed_parameter_is_named_with_both_values(history: Clone):
    history.git("checkout", "--quiet", "HEAD~1")
    try:
        history.run("dvc", "checkout", "--quiet")
        shown = history.run(*WHY, "model.txt").text
    finally:
        history.git("checkout", "--quiet", "main")
        history.run("dvc", "checkout", "--quiet")
    assert "params.yaml rate: 0.5 → 2.0" in shown
    assert "raw.csv" not in shown


@pytest.mark.slow
def test_what_has_changed_in_the_workspace_since_is_named_upstream_first(history: Clone):
    (history.path / "raw.csv").write_text("z\n")
    (history.path / "params.yaml").write_text("rate: 3.0\n")
    try:
        shown = history.run(*WHY, "model.txt").text
    finally:
        history.git("checkout", "--", "raw.csv", "params.yaml")
    since = shown[shown.index("since then, in the workspace") :]
    assert since.index("raw.csv: ") < since.index("params.yaml rate: 2.0 → 3.0")
    assert "`dvc repro fit` would bring it up to date" in since


@pytest.mark.slow
def test_what_ran_and_is_not_committed_counts_as_the_workspace(history: Clone):
    (history.path / "params.yaml").write_text("rate: 7.0\n")
    try:
        history.run("dvc", "repro", "--quiet")
        shown = history.run(*WHY, "model.txt").text
    finally:
        history.git("checkout", "--", ".")
        history.run("dvc", "checkout", "--quiet")
    assert "fit last ran for the workspace, not committed" in shown
    assert "params.yaml rate: 2.0 → 7.0" in shown


@pytest.mark.slow
def test_a_source_is_made_by_no_stage(history: Clone):
    assert "raw.csv is made by no stage" in history.run(*WHY, "raw.csv").text


@pytest.mark.slow
def test_an_out_of_the_first_commit_ran_for_the_first_time(foreign_project: Clone):
    shown = foreign_project.run(*WHY, "models/eu.txt").text
    assert "All the shapes\n  for the first time" in shown


@pytest.mark.slow
def test_a_home_that_is_no_folder_ends_in_a_sentence(history: Clone):
    done = history.run(*WHY, "model.txt", env={"HOME": "/dev/null/home"}, ok=False)
    assert done.code == 1
    assert "/dev/null/home" in done.text
    assert "Traceback" not in done.text
