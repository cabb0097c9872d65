"""The models' predictions for each evaluation picture, kept in git, so that a champion needn't be loaded again.

    {"eval_md5": …, "actual": "7210…", "models": {md5: "7210…", …}}

Each string has a class's number for each picture, in the order of data/mnist/eval.npz. All numbers have as many digits
as the highest: one for ten classes, two for up to a hundred ("250701…"). `eval_md5` names the pictures, see dataset.py.
The W&B run of `promote` shows those on which champion and candidate disagree.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dvc_wandb import DvcWandbError
from dvc_wandb.production import read_facts, write_facts
from stages.dataset import as_picture, load_classes, load_split
from stages.pictures import Shown, draw, shortened

Predictions = dict[str, np.ndarray]  # md5 of the model → predicted classes, int64 (n,)

MAX_SHOWN = 100  # disagreements; the pictures are in balanced order, so the first ones are balanced too
COMPARED = ("label", "champion", "candidate")


def read(path: Path, eval_md5: str, classes: int, count: int) -> Predictions:
    """The predictions in `path` for the `count` pictures `eval_md5`; empty if the file has those for others.

    A file that can't be read, as with the marks of a merge conflict, is written anew: it holds nothing that the models
    wouldn't say again.
    """
    if not path.exists():
        return {}
    try:
        facts = read_facts(path, "eval_md5", "models")
    except DvcWandbError:
        print(f"{path.name} can't be read, and is written anew.")
        return {}
    if facts["eval_md5"] != eval_md5 or not isinstance(facts["models"], dict):
        return {}
    found = {md5: _decoded(text, classes) for md5, text in facts["models"].items()}
    return {md5: labels for md5, labels in found.items() if len(labels) == count}


def write(path: Path, eval_md5: str, actual: np.ndarray, predictions: Predictions, classes: int) -> None:
    write_facts(
        path,
        {
            "eval_md5": eval_md5,
            "actual": _encoded(actual, classes),
            "models": {md5: _encoded(one, classes) for md5, one in predictions.items()},
        },
    )


def of_evaluation(path: Path, classes: list[str], count: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels and the predicted classes in the table that `evaluate` wrote, both int64 (`count`,)."""
    label = {name: at for at, name in enumerate(classes)}
    try:
        with path.open(newline="") as file:
            rows = [(label[row["actual"]], label[row["predicted"]]) for row in csv.DictReader(file)]
    except KeyError:
        rows = []
    if len(rows) != count:
        raise DvcWandbError(f"{path} is not about the pictures in data/mnist. `dvc repro evaluate` makes it anew.")
    actual, predicted = np.array(rows, "int64").T
    return actual, predicted


def disagreements(champion: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """The indexes, int64 (n,), of the pictures that the two models classify differently."""
    return np.flatnonzero(champion != candidate)


def draw_disagreements(
    path: Path, x: np.ndarray, actual: np.ndarray, models: list[np.ndarray], classes: list[str]
) -> None:
    """Draw the pictures that champion and candidate classify differently, each with its label and both predictions."""
    if len(models) < 2:
        return draw(path, [], without="no champion to disagree with")
    champion, candidate = models
    disagreeing, names = disagreements(champion, candidate), [shortened(name) for name in classes]
    # "->" on purpose: Pillow's own font has no arrow
    shown: list[Shown] = [
        (x[at], f"{names[actual[at]]}: {names[champion[at]]} -> {names[candidate[at]]}")
        for at in disagreeing[:MAX_SHOWN]
    ]
    if len(disagreeing) > len(shown):
        shown.append((None, f"and {len(disagreeing) - len(shown)} more"))
    return draw(path, shown, without="no disagreement")


def tables(locate: Callable[[str], Path]) -> dict[str, Any]:
    """W&B tables for the run: the decision as one row; one row per picture on which champion and candidate disagree."""
    import wandb

    classes = load_classes(locate("mnist"))
    facts, stored = read_facts(locate("promotion.json")), read_facts(locate("predictions.json"))
    actual = _decoded(stored["actual"], len(classes))
    predictions = {md5: _decoded(text, len(classes)) for md5, text in stored["models"].items()}
    candidate = predictions[facts["candidate"]]
    champion = predictions.get(facts["champion"], candidate)  # without its predictions, no disagreements
    disagreeing = disagreements(champion, candidate)
    count = len(disagreeing) if facts["champion"] in predictions else None
    counts = {"digits": len(actual), "disagreements": count, "disagreements_shown": len(disagreeing[:MAX_SHOWN])}
    decision = {"decision": facts["decision"], **facts, **counts}
    tables_by_name = {"decision_table": wandb.Table(columns=[*decision], data=[[*decision.values()]])}
    if len(disagreeing):
        x, _ = load_split(locate("mnist"), "eval")
        tables_by_name["disagreements_table"] = table = wandb.Table(columns=["picture", "image", *COMPARED, "right"])
        for at in disagreeing[:MAX_SHOWN]:
            answers = dict(zip(COMPARED, (classes[one[at]] for one in (actual, champion, candidate)), strict=True))
            right = next((who for who in ("champion", "candidate") if answers[who] == answers["label"]), "neither")
            table.add_data(int(at), wandb.Image(as_picture(x[at])), *answers.values(), right)
    return tables_by_name


def _width(classes: int) -> int:
    """How many digits the number of a class has."""
    return len(str(classes - 1))


def _encoded(labels: np.ndarray, classes: int) -> str:
    return "".join(f"{label:0{_width(classes)}}" for label in labels.tolist())


def _decoded(text: str, classes: int) -> np.ndarray:
    """The classes that `_encoded` wrote; none where it didn't."""
    width = _width(classes)
    if not isinstance(text, str) or not text.isdecimal():
        return np.array([], "int64")
    return np.array([int(text[at : at + width]) for at in range(0, len(text), width)])
