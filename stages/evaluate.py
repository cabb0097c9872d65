"""Evaluate the registered model on the evaluation pictures.

    registered model, data/mnist ──▶ evaluate ──▶ reports/: metrics.json, confusion.csv, mistakes.png

confusion.csv has one row per picture, in the order of eval.npz; `promote` compares models by it.

Run by `dvc repro`, or alone: python -m stages.evaluate
"""

from __future__ import annotations

import csv
import json

import numpy as np

from dvc_wandb import DvcWandbError, tracked_run
from stages.dataset import load_classes, load_split
from stages.params import SEED, checked, whole
from stages.pictures import draw, shortened

RULES = {"seed": SEED, "evaluate.mistakes": whole(1, 100, "pictures")}


def main() -> None:
    with tracked_run("evaluate") as run:
        params = checked(run, RULES)

        from stages.determinism import keras_for
        from stages.model import UnfitModel, measure

        keras = keras_for(params["seed"])

        # Load the evaluation pictures
        x, y = load_split(run.dep("mnist"), "eval")
        classes = load_classes(run.dep("mnist"))

        # Take the model from the registry, and measure it
        try:
            result = measure(keras, run.use_model("model.h5"), x, y, classes)
        except UnfitModel as error:
            raise DvcWandbError(f"{run.dep('model.h5')} {error}. `dvc repro train` makes it anew.") from None
        metrics = {"loss": result.loss, "accuracy": result.accuracy, "digits": len(y)}
        run.out("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        print(f"accuracy {result.accuracy:.4f}, loss {result.loss:.4f} on {len(y)} pictures")

        # Save the prediction for each picture
        predicted = result.predicted
        with run.out("confusion.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["actual", "predicted"])
            rows.writerows((classes[one], classes[other]) for one, other in zip(y, predicted, strict=True))

        # Draw the mistakes that the model is most confident of
        confidence = result.probabilities.max(axis=1)
        mistakes = np.flatnonzero(predicted != y)
        worst = mistakes[np.argsort(-confidence[mistakes], kind="stable")][: params["evaluate.mistakes"]]
        names = [shortened(name) for name in classes]
        captions = [f"{names[y[at]]} taken for {names[predicted[at]]}, {confidence[at]:.0%}" for at in worst]
        draw(run.out("mistakes.png"), list(zip(x[worst], captions, strict=True)), without="no mistakes")


if __name__ == "__main__":
    main()
