"""Promote the model: if it passes the gate, it is in production.

    receipt, metrics, predictions ──▶ promote ──▶ production.json, reports/: promotion.json, gate.json,
                                                  predictions.json, disagreements.png

promotion.json is the decision, with all that it is based on; gate.json has the numbers of it that DVC shows as metrics.
production.json, in git, is the record of what is in production; a model that fails leaves it as it was. gate.py has the
rules. The registry's alias follows the record. Run by `dvc repro`, or alone: python -m stages.promote
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from dvc_wandb import TrackedRun, production, tracked_run
from dvc_wandb.production import Record
from stages import gate, predictions
from stages.dataset import load_split
from stages.gate import GateRule
from stages.params import checked
from stages.pictures import draw
from stages.predictions import Predictions


def main() -> None:
    with tracked_run("promote") as run:
        params = checked(run)
        rule = GateRule(**{name[len("promote.") :]: params[name] for name in params if name.startswith("promote.")})
        receipt = production.read_facts(run.dep("registered.json"), "registered_model", "model_md5")
        metrics = production.read_facts(run.dep("metrics.json"), "loss")
        file, candidate = run.out("production.json"), receipt["model_md5"]
        before = production.read(file) if file.exists() else None
        record = before if before and before.registered_model == receipt["registered_model"] else None
        record = record or Record(receipt["registered_model"])

        # Read the predictions of the candidate, and those of other models on the same digits
        x, _ = load_split(run.dep("mnist"), "eval")
        eval_md5 = hashlib.md5((run.dep("mnist") / "eval.npz").read_bytes()).hexdigest()
        actual, predicted = predictions.of_evaluation(run.dep("confusion.csv"))
        by_model = {**predictions.read(run.out("predictions.json"), eval_md5), candidate: predicted}
        scores = {"accuracy": float((predicted == actual).mean()), "loss": metrics["loss"]}

        # Apply the gate. Measure the champion only if the decision needs it
        champion = gate.champion_of(record, candidate)
        verdict = gate.person_verdict(record, candidate)
        unknown = champion == record.model_md5 and not record.eval_md5  # a person chose it, and it was never measured
        is_needed = unknown or (not verdict and gate.thresholds(rule, **scores).passes)
        champion_scores = None
        if champion and champion not in by_model and is_needed:
            champion_scores = measure_again(run, record.registered_model, champion, params["seed"], by_model)
        comparison = gate.compare(actual, by_model[champion], predicted) if champion in by_model else None
        verdict = verdict or gate.decide(rule, **scores, champion=champion, comparison=comparison)
        sentence = f"{verdict.why}: {gate.outcome(verdict, candidate, champion, record.model_md5)}."

        # Record what is in production. If that doesn't change, the file stays as it is, byte for byte
        if record.model_md5 == candidate:
            after = record if record.eval_md5 else record.with_metrics(eval_md5, scores)
        elif verdict.passes:
            after = record.by_gate(candidate, eval_md5, scores, verdict.why)
        else:
            after = record.with_metrics(eval_md5, champion_scores) if unknown and champion_scores else record
        if after != before:
            production.write(file, after)

        # Record the decision, and what it is based on
        kept = {md5: by_model[md5] for md5 in (champion, candidate) if md5 and md5 in by_model}
        predictions.write(run.out("predictions.json"), eval_md5, actual, kept)
        facts = {"promoted": verdict.passes, "rule": verdict.rule, "candidate": candidate, "champion": champion}
        production.write_facts(
            run.out("promotion.json"),
            {**facts, **scores, **asdict(rule), **gate.comparison_metrics(comparison), "decision": sentence},
        )
        numbers = (
            {"gain": comparison.gain, "p_value": comparison.p_value} if comparison else {"gain": None, "p_value": None}
        )
        production.write_facts(run.out("gate.json"), {"promoted": int(verdict.passes), **numbers})
        draw_disagreements(run.out("disagreements.png"), x, actual, list(kept.values()))
        print(sentence)


def measure_again(run: TrackedRun, target: str, md5: str, seed: int, by_model: Predictions) -> dict[str, float] | None:
    """Measure an earlier model: return its scores, add its predictions to `by_model`. None if its bytes are gone."""
    path = run.find_model(target, md5)
    if path is None:
        return None
    from stages.determinism import keras_for  # imports TensorFlow, which is slow
    from stages.model import measure

    measurement = measure(keras_for(seed), path, *load_split(run.dep("mnist"), "eval"))
    by_model[md5] = measurement.predicted
    return {"accuracy": measurement.accuracy, "loss": measurement.loss}


def draw_disagreements(path: Path, x: np.ndarray, actual: np.ndarray, models: list[np.ndarray]) -> None:
    """Draw the digits that champion and candidate classify differently, each with its label and both predictions."""
    if len(models) < 2:
        return draw(path, [], without="no champion to disagree with")
    champion, candidate = models
    other = predictions.disagreements(champion, candidate)
    # "->" on purpose: Pillow's own font has no arrow
    shown = [
        (x[at, :, :, 0], f"{actual[at]}: {champion[at]} -> {candidate[at]}") for at in other[: predictions.MAX_SHOWN]
    ]
    if len(other) > len(shown):
        shown.append((np.zeros((28, 28)), f"and {len(other) - len(shown)} more"))
    return draw(path, shown, without="no disagreement")


if __name__ == "__main__":
    main()
