"""Promote the model: if it passes the gate, it is in production.

    receipt, metrics, predictions ──▶ promote ──▶ production.json, reports/: promotion.json, gate.json,
                                                  predictions.json, disagreements.png

The candidate is the model that the pipeline made, the champion the one in production. gate.py holds one against the
other, by what each predicts for the same pictures. promotion.json is the decision with all that it rests on, gate.json
the numbers of it that DVC shows as metrics. production.json, in git, is the record of what is in production; a model
that fails leaves it as it was. The registry's alias follows it (`promotes` in dvc.yaml).

Run by `dvc repro`, or alone: python -m stages.promote
"""

from __future__ import annotations

from dataclasses import asdict

from dvc_wandb import TrackedRun, production, tracked_run
from dvc_wandb.production import Record
from stages import gate, predictions
from stages.dataset import evaluation_md5, load_classes, load_split
from stages.gate import GateRule
from stages.model import Measurement, UnfitModel
from stages.params import SEED, above, checked, list_of, number, one_of, text, whole

RULES = {
    "seed": SEED,
    "promote.min_accuracy": number(0, 1),
    "promote.max_loss": number(0, 1e9),
    "promote.require": one_of("better", "not_worse"),
    "promote.significance": above(0, 1),
    "promote.tolerated_drop": number(0, 1),
    "promote.approvals": whole(0, 1, "people besides the one who decided"),
    "promote.branches": list_of(text("a branch of git")),
}


def main() -> None:
    with tracked_run("promote") as run:
        params = checked(run, RULES)
        rule = GateRule(**{name: params[f"promote.{name}"] for name in GateRule.__dataclass_fields__})
        receipt = production.read_facts(run.dep("registered.json"), "registered_model", "model_md5")
        target, candidate = receipt["registered_model"], receipt["model_md5"]

        # What is in production: nothing yet, if the record is of another registered model
        file = run.out("production.json")
        before = production.read(file) if file.exists() else None
        record = before if before and before.registered_model == target else Record(target)
        champion = gate.champion_of(record, candidate)

        # What the candidate predicts, and what is known of other models' predictions for the same pictures
        (x, y), classes = load_split(run.dep("mnist"), "eval"), load_classes(run.dep("mnist"))
        eval_md5 = evaluation_md5(run.dep("mnist"))
        actual, predicted = predictions.of_evaluation(run.dep("confusion.csv"), classes, len(y))
        known = predictions.read(run.out("predictions.json"), eval_md5, len(classes), len(y))
        by_model = known | {candidate: predicted}
        loss = production.read_facts(run.dep("metrics.json"), "loss")["loss"]
        scores = {"accuracy": float((predicted == actual).mean()), "loss": loss}

        # Measure the champion only if the decision needs it: for the gate, or as a person's choice never measured yet
        verdict = gate.person_verdict(record, candidate)
        unmeasured = champion == record.model_md5 and not record.eval_md5
        is_needed = unmeasured or (not verdict and gate.thresholds(rule, **scores).passes)
        champion_scores, problem = None, ""
        if champion and champion not in by_model and is_needed:
            try:
                measurement = measure_again(run, target, champion, params["seed"], classes)
                by_model[champion] = measurement.predicted
                champion_scores = {"accuracy": measurement.accuracy, "loss": measurement.loss}
            except UnfitModel as error:
                problem = str(error)

        # Decide
        comparison = gate.compare(actual, by_model[champion], predicted) if champion in by_model else None
        verdict = verdict or gate.decide(rule, **scores, champion=champion, comparison=comparison, problem=problem)
        sentence = f"{verdict.why}: {gate.outcome(verdict, candidate, champion, record.model_md5)}."

        # Record what is in production. If that doesn't change, the file stays as it is, byte for byte
        after = record
        if record.model_md5 == candidate and not record.eval_md5:
            after = record.with_metrics(eval_md5, scores)
        elif record.model_md5 != candidate and verdict.passes:
            after = record.by_gate(candidate, eval_md5, scores, verdict.why)
        elif unmeasured and champion_scores:
            after = record.with_metrics(eval_md5, champion_scores)
        if after != before:
            production.write(file, after)

        # Record the decision, and what it is based on
        kept = {md5: by_model[md5] for md5 in (champion, candidate) if md5 and md5 in by_model}
        predictions.write(run.out("predictions.json"), eval_md5, actual, kept, len(classes))
        facts = {"promoted": verdict.passes, "rule": verdict.rule, "candidate": candidate, "champion": champion}
        numbers = gate.comparison_metrics(comparison)
        facts |= {**scores, **asdict(rule), **numbers, "decision": sentence}
        production.write_facts(run.out("promotion.json"), facts)
        gain = comparison.gain if comparison else None
        shown = {"promoted": int(verdict.passes), "gain": gain, "p_value": numbers["p_value"]}
        production.write_facts(run.out("gate.json"), shown)
        predictions.draw_disagreements(run.out("disagreements.png"), x, actual, list(kept.values()), classes)
        print(sentence)


def measure_again(run: TrackedRun, target: str, md5: str, seed: int, classes: list[str]) -> Measurement:
    """Measure an earlier model on today's pictures. Raises UnfitModel, also if its bytes are gone."""
    path = run.find_model(target, md5)
    if path is None:
        raise UnfitModel(
            "was measured on other pictures, and its bytes are neither in the workspace nor in DVC's cache, its remote "
            "or the registry"
        )
    from stages.determinism import keras_for  # imports TensorFlow, which is slow
    from stages.model import measure

    return measure(keras_for(seed), path, *load_split(run.dep("mnist"), "eval"), classes)


if __name__ == "__main__":
    main()
