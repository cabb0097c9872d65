"""Promote the model: one that passes the gate becomes production.

    receipt, metrics, predictions ──▶ promote ──▶ production.json, reports/: promotion.json, gate.json,
                                                  predictions.json, disagreements.png

promotion.json is the decision with all that it rests on, gate.json the numbers of it that DVC shows as metrics.
production.json is the record, in git, of what is in production; it is read as well as written, so that a model that
fails leaves it as it was. gate.py has the rules. The registry's alias follows the record (`meta.wandb.promotes` in
dvc.yaml). Run by `dvc repro`, or alone: python -m stages.promote
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

        # What the candidate says of each digit, and what is known of others
        x, _ = load_split(run.dep("mnist"), "eval")
        eval_md5 = hashlib.md5((run.dep("mnist") / "eval.npz").read_bytes()).hexdigest()
        actual, predicted = predictions.of_evaluation(run.dep("confusion.csv"))
        said = {**predictions.read(run.out("predictions.json"), eval_md5), candidate: predicted}
        scores = {"accuracy": float((predicted == actual).mean()), "loss": metrics["loss"]}

        # Judge it, against the champion on the same digits where it is good enough
        champion = gate.champion_of(record, candidate)
        verdict = gate.is_settled(record, candidate)
        unknown = champion == record.model_md5 and not record.eval_md5  # a person's choice that nobody has measured
        measures = None
        if champion and champion not in said and (unknown or (not verdict and gate.thresholds(rule, **scores).passes)):
            measures = measured_anew(run, record.registered_model, champion, params["seed"], said)
        found = gate.compare(actual, said[champion], predicted) if champion in said else None
        verdict = verdict or gate.decide(rule, **scores, champion=champion, found=found)
        sentence = f"{verdict.why}: {gate.outcome(verdict, candidate, champion, record.model_md5)}."

        # Record what is in production now; what is there already stays as it is, to the byte
        if record.model_md5 == candidate:
            after = record if record.eval_md5 else record.measured(eval_md5, scores)
        elif verdict.passes:
            after = record.by_gate(candidate, eval_md5, scores, verdict.why)
        else:
            after = record.measured(eval_md5, measures) if unknown and measures else record
        if after != before:
            production.write(file, after)

        # And the decision, with all that it rests on
        kept = {md5: said[md5] for md5 in (champion, candidate) if md5 and md5 in said}
        predictions.write(run.out("predictions.json"), eval_md5, actual, kept)
        facts = {"promoted": verdict.passes, "rule": verdict.rule, "candidate": candidate, "champion": champion}
        production.write_facts(
            run.out("promotion.json"),
            {**facts, **scores, **asdict(rule), **gate.compared(found), "decision": sentence},
        )
        numbers = {"gain": found.gain, "p_value": found.p_value} if found else {"gain": None, "p_value": None}
        production.write_facts(run.out("gate.json"), {"promoted": int(verdict.passes), **numbers})
        draw_disagreements(run.out("disagreements.png"), x, actual, list(kept.values()))
        print(sentence)


def measured_anew(run: TrackedRun, target: str, md5: str, seed: int, said: predictions.Said) -> dict[str, float] | None:
    """The scores of a model of the past on today's digits, and into `said` what it says of them.

    None where its bytes are gone.
    """
    path = run.find_model(target, md5)
    if path is None:
        return None
    from stages.determinism import keras_for  # TensorFlow, only here
    from stages.model import measure

    found = measure(keras_for(seed), path, *load_split(run.dep("mnist"), "eval"))
    said[md5] = found.predicted
    return {"accuracy": found.accuracy, "loss": found.loss}


def draw_disagreements(path: Path, x: np.ndarray, actual: np.ndarray, models: list[np.ndarray]) -> None:
    """The digits that champion and candidate take for different ones: the label, what either says."""
    if len(models) < 2:
        return draw(path, [], without="no champion to disagree with")
    champion, candidate = models
    other = predictions.disagreements(champion, candidate)
    # -> on purpose: Pillow's own font has no arrow, and draws an empty box
    shown = [(x[at, :, :, 0], f"{actual[at]}: {champion[at]} -> {candidate[at]}") for at in other[: predictions.MOST]]
    if len(other) > len(shown):
        shown.append((np.zeros((28, 28)), f"and {len(other) - len(shown)} more"))
    return draw(path, shown, without="no disagreement")


if __name__ == "__main__":
    main()
