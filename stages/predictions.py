"""The models' predictions for each evaluation digit, kept in git, so that a champion needn't be loaded again.

    {"eval_md5": …, "actual": "7210…", "models": {md5: "7210…", …}}

Each string has one character per digit, in the order of data/mnist/eval.npz; `eval_md5` is the md5 of that file. The
W&B run of `promote` shows the digits on which champion and candidate disagree.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dvc_wandb.production import read_facts, write_facts
from stages.dataset import load_split

Predictions = dict[str, np.ndarray]  # md5 of the model → predicted classes, int64 (n,)

MAX_SHOWN = 100  # disagreements; the digits are in balanced order, so the first ones are balanced too
COMPARED = ("label", "champion", "candidate")


def read(path: Path, eval_md5: str) -> Predictions:
    """The predictions in `path` for the digits `eval_md5`; empty if the file has those for other digits."""
    if not path.exists():
        return {}
    facts = read_facts(path, "eval_md5", "models")
    return {md5: _array(text) for md5, text in facts["models"].items()} if facts["eval_md5"] == eval_md5 else {}


def write(path: Path, eval_md5: str, actual: np.ndarray, predictions: Predictions) -> None:
    write_facts(
        path,
        {
            "eval_md5": eval_md5,
            "actual": _text(actual),
            "models": {md5: _text(one) for md5, one in predictions.items()},
        },
    )


def of_evaluation(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The labels and the predicted classes in the table that `evaluate` wrote, both int64 (n,)."""
    with path.open(newline="") as file:
        rows = [(int(row["actual"]), int(row["predicted"])) for row in csv.DictReader(file)]
    actual, predicted = np.array(rows, "int64").reshape(-1, 2).T
    return actual, predicted


def disagreements(champion: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """The indexes, int64 (n,), of the digits that the two models classify differently."""
    return np.flatnonzero(champion != candidate)


def tables(locate: Callable[[str], Path]) -> dict[str, Any]:
    """W&B tables for the run: the decision as one row; one row per digit on which champion and candidate disagree."""
    import wandb

    facts, stored = read_facts(locate("promotion.json")), read_facts(locate("predictions.json"))
    actual, predictions = _array(stored["actual"]), {md5: _array(text) for md5, text in stored["models"].items()}
    candidate = predictions[facts["candidate"]]
    champion = predictions.get(facts["champion"], candidate)  # without its predictions, no disagreements
    disagreeing = disagreements(champion, candidate)
    count = len(disagreeing) if facts["champion"] in predictions else None
    counts = {"digits": len(actual), "disagreements": count, "disagreements_shown": len(disagreeing[:MAX_SHOWN])}
    decision = {"decision": facts["decision"], **facts, **counts}
    tables_by_name = {"decision_table": wandb.Table(columns=[*decision], data=[[*decision.values()]])}
    if len(disagreeing):
        x, _ = load_split(locate("mnist"), "eval")
        tables_by_name["disagreements_table"] = table = wandb.Table(columns=["digit", "image", *COMPARED, "right"])
        for at in disagreeing[:MAX_SHOWN]:
            answers = dict(zip(COMPARED, (int(one[at]) for one in (actual, champion, candidate)), strict=True))
            right = next((who for who in ("champion", "candidate") if answers[who] == answers["label"]), "neither")
            picture = wandb.Image(np.rint(x[at] * 255).astype("uint8"))
            table.add_data(int(at), picture, *answers.values(), right)
    return tables_by_name


def _text(classes: np.ndarray) -> str:
    return "".join(map(str, classes))


def _array(text: str) -> np.ndarray:
    return np.array(list(text), dtype="int64")
