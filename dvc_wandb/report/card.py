"""A model's card: Markdown below the front matter that Hugging Face's Hub reads, from lineage, metrics and decision.

What the Hub asks for and no lock knows, such as a licence, is what dvc.yaml's `artifacts:` section says of the model:
its `labels` are tags, its `meta` goes into the front matter as it stands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dvc_wandb.production.decision import read_decision
from dvc_wandb.project import metrics
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.report.graph import Graph, Key, key_of
from dvc_wandb.report.report import page_environment


@dataclass(frozen=True)
class Measurement:
    """A metric of a model, the file that has it, and the data sets that its stage read."""

    file: str
    name: str
    value: Any
    datasets: tuple[Content, ...]


@dataclass(frozen=True)
class ModelCard:
    """What a card tells. `decision` is who put the model in production, {} where it isn't; `verdict` is the gate's."""

    name: str
    model: Content
    commit: str
    about: dict[str, Any]  # the entry of the model in an `artifacts:` section
    made_by: Graph
    measurements: list[Measurement]
    decision: dict[str, Any]
    verdict: str

    @property
    def parameters(self) -> Iterator[tuple[str, str, str]]:
        """Stage, name and value of each parameter that the model was made with."""
        for one in self.made_by.executions:
            for values in one.params.values():
                yield from ((one.stage, name, _shown(value)) for name, value in _flat(values))

    @property
    def rule(self) -> Iterator[tuple[str, str]]:
        """Name and value of each parameter of the deciding stage."""
        for values in self.decision.get("rule", {}).values():
            yield from ((name, _shown(value)) for name, value in _flat(values))


def collect(pipeline: Pipeline, model: Content, decision: dict[str, Any]) -> ModelCard:
    """The card of `model`, an out of `pipeline` at a commit."""
    graph = Graph(pipeline.locked(), pipeline.added())
    key = key_of(model)
    made_by, judged_by = graph.upstream([key]), graph.downstream([key])
    verdicts = (read_decision(pipeline, one).get("decision", "") for one in judged_by.executions)
    return ModelCard(
        name=str(decision.get("registeredModel", "")).rpartition("/")[2] or model.artifact,
        model=model,
        commit=str(pipeline.rev or pipeline.commit),
        about=pipeline.declaration_of(model),
        made_by=made_by,
        measurements=list(_measurements(pipeline, graph, made_by.union(judged_by))),
        decision=decision,
        verdict=next(filter(None, verdicts), ""),
    )


def _measurements(pipeline: Pipeline, graph: Graph, related: Graph) -> Iterator[Measurement]:
    """The metrics that the stages upstream and downstream of a model made."""
    for file, values in sorted(metrics.read(pipeline).items()):
        maker = next((related.makers[key] for key in graph.find(file) if key in related.makers), None)
        if maker:
            datasets = measured_on(maker)
            yield from (Measurement(file, name, value, datasets) for name, value in sorted(values.items()))


def measured_on(execution: Execution) -> tuple[Content, ...]:
    """The data sets that a stage's metrics are about; none for a stage that decides: its metrics are no results."""
    found: dict[Key, Content] = {}
    for dep in execution.reads if not execution.meta.get("promotes") else ():
        if dep.versioned.type == "dataset":
            found.setdefault(key_of(dep), dep.versioned)
    return tuple(found.values())


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Parameters by their dotted names."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# ---- the page ----


def markdown(card: ModelCard) -> str:
    """The card as the README.md of a repository on the Hub."""
    import yaml

    front = yaml.safe_dump(front_matter(card), sort_keys=False, allow_unicode=True, width=1000)
    body = page_environment(escape=False).get_template("card.md").render(card=card)
    return f"---\n{front}---\n\n{body}\n"


def front_matter(card: ModelCard) -> dict[str, Any]:
    """What the Hub reads: https://huggingface.co/docs/hub/model-cards. `meta` of the model comes first."""
    meta = card.about.get("meta") or {}
    measured = [one for one in card.measurements if _is_number(one.value)]
    results = [
        _result(str(meta.get("pipeline_tag", "other")), dataset, [one for one in measured if dataset in one.datasets])
        for dataset in dict.fromkeys(dataset for one in measured for dataset in one.datasets)
    ]
    own = {
        "tags": ["dvc", *(card.about.get("labels") or [])],
        "metrics": list(dict.fromkeys(one.name for one in measured if one.datasets)),
        "model-index": [{"name": card.name, "results": results}] if results else [],
    }
    return {**meta, **{key: value for key, value in own.items() if value and key not in meta}}


def _result(task: str, dataset: Content, measured: list[Measurement]) -> dict[str, Any]:
    """What was measured on one data set, as the Hub's model-index has it."""
    return {
        "task": {"type": task},
        "dataset": {"type": dataset.artifact, "name": dataset.path, "revision": dataset.md5},
        "metrics": [{"type": one.name, "name": f"{one.name} in {one.file}", "value": one.value} for one in measured],
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
