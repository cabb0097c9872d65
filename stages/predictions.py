"""What models said of each evaluation digit, kept in git: a champion needn't be loaded to be compared.

    {"eval_md5": …, "actual": "7210…", "models": {md5: "7210…", …}}

One character a digit, in the order of data/mnist's eval.npz, whose md5 `eval_md5` is.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from lineage.production import read_facts, write_facts

Said = dict[str, np.ndarray]  # model's md5 → its classes, int64 (n,)


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


def tables(path: Path) -> dict[str, Any]:
    """For W&B: the digits on which champion and candidate disagree, a row each; none for another file."""
    import wandb

    facts = read_facts(path)
    models = list(facts.get("models", {}).values())
    if len(models) < 2:
        return {}
    rows = zip(facts["actual"], *models, strict=True)
    data: list[Any] = [[at, *map(int, row)] for at, row in enumerate(rows) if row[1] != row[2]]
    return {"disagreements": wandb.Table(columns=["digit", "actual", "champion", "candidate"], data=data)}


def _text(classes: np.ndarray) -> str:
    return "".join(map(str, classes))


def _array(text: str) -> np.ndarray:
    return np.array(list(text), dtype="int64")
