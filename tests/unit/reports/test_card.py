"""A model's card, read by the Hub's own library."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import huggingface_hub
import pytest

from dvc_wandb.report import card
from dvc_wandb.report.card import Measurement, ModelCard
from dvc_wandb.report.graph import Graph
from tests.unit.executions import content, execution

FIT = execution("fit", "fit.py data", "model", params={"params.yaml": {"fit": {"rate": 0.5, "kind": "a|b"}}})
ABOUT = {
    "desc": "Tells *digits* apart",
    "labels": ["small"],
    "meta": {"license": "mit", "pipeline_tag": "text-ranking"},
}
DECISION = {"registeredModel": "model-registry/Best", "decidedBy": "gate", "reason": "it is good", "commit": "c" * 40}
DECISION |= {"committedBy": "mika", "rule": {"params.yaml": {"promote": {"least": 0.9}}}, "replaces": "f" * 32}


def made(**facts: Any) -> ModelCard:
    measured = [
        Measurement("score.json", "accuracy", 0.95, (content("digits"),)),
        Measurement("log.json", "steps", 7, ()),
    ]
    usual = {
        "model": content("model"),
        "commit": "a" * 40,
        "about": ABOUT,
        "made_by": Graph([FIT]),
        "verdict": "0.95 ≥ 0.9",
    }
    return ModelCard(**{"name": "Best", "measurements": measured, "decision": DECISION, **usual, **facts})


def test_the_hub_reads_licence_tags_and_results():
    data: Any = huggingface_hub.ModelCard(card.markdown(made())).data
    assert (data.license, data.pipeline_tag, data.tags, data.metrics) == (
        "mit",
        "text-ranking",
        ["dvc", "small"],
        ["accuracy"],
    )
    (result,) = data.eval_results
    assert (result.task_type, result.dataset_name, result.metric_type, result.metric_value) == (
        "text-ranking",
        "digits",
        "accuracy",
        0.95,
    )


def test_it_tells_the_decision_the_lineage_and_the_parameters():
    page = card.markdown(made())
    for line in (
        "# Best",
        r"Tells \*digits\* apart",
        "| log.json | steps | 7 |",
        "In production as **model-registry/Best**, by the gate: it is good.",
        f"It was committed by mika in `{'c' * 40}`, and replaced the model `{'f' * 32}`.",
        "The gate's verdict: 0.95 ≥ 0.9",
        "| promote.least | 0.9 |",
        "| fit | run fit | fit.py md5 of f<br>data md5 of d | model md5 of m |",
        "| fit | fit.rate | 0.5 |",
        r"| fit | fit.kind | a\|b |",
    ):
        assert f"{line}\n" in page
    assert page == card.markdown(made())


def test_it_says_what_is_not_in_production_and_leaves_out_what_is_not_known():
    page = card.markdown(made(decision={}, verdict="", measurements=[], about={}))
    assert page.startswith("---\ntags:\n- dvc\n---\n\n# Best\n\n`model` of the commit")
    assert "It is not in production." in page
    assert "## Metrics" not in page
    assert "verdict" not in page


def test_what_a_stage_measures_that_only_decides_is_no_result():
    reads = (content("digits"), replace(content("model"), type="model"))
    assert card.measured_on(replace(execution("score"), deps=reads)) == (content("digits"),)
    assert card.measured_on(replace(execution("judge"), deps=reads, meta={"promotes": "champion.json"})) == ()


@pytest.mark.parametrize("value", [float("nan"), True, "high"])
def test_what_is_no_number_is_no_result(value: Any):
    front = card.front_matter(made(measurements=[Measurement("score.json", "accuracy", value, (content("digits"),))]))
    assert front == {**ABOUT["meta"], "tags": ["dvc", "small"]}
