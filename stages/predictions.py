"""What models said of each evaluation digit, kept in git: a champion needn't be loaded to be compared.

    {"eval_md5": …, "actual": "7210…", "models": {md5: "7210…", …}}

One character a digit, in the order of data/mnist's eval.npz, whose md5 `eval_md5` is. Where champion and candidate
disagree, the W&B run of `promote` shows it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dvc_wandb.production import read_facts, write_facts
from stages.dataset import load_split

Said = dict[str, np.ndarray]  # model's md5 → its classes, int64 (n,)

MOST = 100  # disagreements that are shown: the first ones, in which the labels are as balanced as in all digits
COMPARED = ("label", "champion", "candidate")  # of each


def read(path: Path, eval_md5: str) -> Said:
    """What is known on the digits `eval_md5`; nothing where the file is about others."""
    if not path.exists():
        return {}
    facts = read_facts(path, "eval_md5", "models")
    return {md5: _array(text) for md5, text in facts["models"].items()} if facts["eval_md5"] == eval_md5 else {}


def write(path: Path, eval_md5: str, actual: np.ndarray, said: Said) -> None:
    write_facts(
        path,
        {"eval_md5": eval_md5, "actual": _text(actual), "models": {md5: _text(one) for md5, one in said.items()}},
    )


def of_evaluation(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The labels and the model's classes in the table that `evaluate` wrote, each int64 (n,)."""
    with path.open(newline="") as file:
        rows = [(int(row["actual"]), int(row["predicted"])) for row in csv.DictReader(file)]
    actual, predicted = np.array(rows, "int64").reshape(-1, 2).T
    return actual, predicted


def disagreements(champion: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """The places, int64 (n,), of the digits that the two take for different ones."""
    return np.flatnonzero(champion != candidate)


def tables(place: Callable[[str], Path]) -> dict[str, Any]:
    """For the W&B run: the decision as a row, and a row for each digit on which champion and candidate disagree."""
    import wandb

    facts, told = read_facts(place("promotion.json")), read_facts(place("predictions.json"))
    actual, said = _array(told["actual"]), {md5: _array(text) for md5, text in told["models"].items()}
    candidate = said[facts["candidate"]]
    champion = said.get(facts["champion"], candidate)  # one that isn't known disagrees nowhere
    other = disagreements(champion, candidate)
    count = len(other) if facts["champion"] in said else None
    of_digits = {"digits": len(actual), "disagreements": count, "disagreements_shown": len(other[:MOST])}
    decision = {"decision": facts["decision"], **facts, **of_digits}
    found = {"decision_table": wandb.Table(columns=[*decision], data=[[*decision.values()]])}
    if len(other):
        x, _ = load_split(place("mnist"), "eval")
        found["disagreements_table"] = table = wandb.Table(columns=["digit", "image", *COMPARED, "right"])
        for at in other[:MOST]:
            answers = dict(zip(COMPARED, (int(one[at]) for one in (actual, champion, candidate)), strict=True))
            right = next((who for who in ("champion", "candidate") if answers[who] == answers["label"]), "neither")
            picture = wandb.Image(np.rint(x[at] * 255).astype("uint8"))
            table.add_data(int(at), picture, *answers.values(), right)
    return found


def _text(classes: np.ndarray) -> str:
    return "".join(map(str, classes))


def _array(text: str) -> np.ndarray:
    return np.array(list(text), dtype="int64")
