"""Promote the model: one that passes the gate becomes production.

    receipt, metrics ──▶ promote ──▶ production.json, reports/promotion.json

production.json is the record, in git, of what is in production; it is read as well as written, so that a model that
fails leaves it as it was. The registry's alias follows it (`meta.wandb.promotes` in dvc.yaml). Run by `dvc repro`, or
alone: python -m stages.promote
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lineage import LineageError, tracked_run
from stages.params import checked


def main() -> None:
    with tracked_run("promote") as run:
        params = checked(run)
        receipt = read(run.dep("registered.json"), "registered_model", "model_md5")
        metrics = read(run.dep("metrics.json"), "accuracy", "loss", "eval_md5")
        record = run.out("production.json")
        before = read(record, "registered_model", "model_md5") if record.exists() else {}
        candidate = receipt["model_md5"]
        holder = before.get("model_md5") if before.get("registered_model") == receipt["registered_model"] else None
        # One that became production before is judged again as then, so that a re-run gives the same bytes
        champion = before.get("replaces") if holder == candidate else holder

        # Hold the candidate against the thresholds
        accuracy, least = metrics["accuracy"], params["promote.min_accuracy"]
        loss, most = metrics["loss"], params["promote.max_loss"]
        promoted = accuracy >= least and loss <= most
        reasons = [
            f"accuracy {accuracy:.6g} {'≥' if accuracy >= least else '<'} {least!r}",
            f"loss {loss:.6g} {'≤' if loss <= most else '>'} {most!r}",
        ]
        sentence = f"{' and '.join(reasons)}: {outcome(promoted, candidate, champion, holder)}."

        # Record what is in production now, and the decision
        if promoted:
            scores = {"accuracy": accuracy, "loss": loss}
            facts = {"eval_md5": metrics["eval_md5"], "metrics": scores, "decided_by": "gate", "replaces": champion}
            write(record, {**receipt, **facts})
        elif not before:
            write(record, {"registered_model": receipt["registered_model"], "model_md5": None})
        decision = {"promoted": promoted, "accuracy": accuracy, "min_accuracy": least, "loss": loss, "max_loss": most}
        write(run.out("promotion.json"), {**decision, "decision": sentence})
        print(sentence)


def outcome(promoted: bool, candidate: str, champion: str | None, holder: str | None) -> str:
    """What becomes of production, in words; models by the first 8 characters of their md5."""
    model = f"model {candidate[:8]}"
    if promoted:
        return f"{model} replaces {champion[:8]}" if champion else f"no champion yet, so {model} becomes production"
    return f"{model} does not pass; " + (f"{holder[:8]} stays production" if holder else "nothing is in production")


def read(path: Path, *keys: str) -> dict[str, Any]:
    """A JSON file that holds `keys`; raises LineageError where it doesn't."""
    try:
        facts = json.loads(path.read_text())
    except ValueError as error:
        facts, reason = None, f"it is not JSON: {error}"
    else:
        missing = [key for key in keys if not isinstance(facts, dict) or key not in facts]
        reason = f"it has no {', '.join(missing)}" if missing else ""
    if facts is None or reason:
        raise LineageError(f"{path.name} can't be used ({reason or 'it is empty'}). `git checkout` restores it.")
    return facts


def write(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
