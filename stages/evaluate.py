"""Evaluate the registered model on the evaluation digits.

    registered model, data/mnist ──▶ evaluate ──▶ reports/: metrics.json, confusion.csv, mistakes.png

confusion.csv has one row per digit, in the order of eval.npz; `promote` compares models by it.

Run by `dvc repro`, or alone: python -m stages.evaluate
"""

from __future__ import annotations

import csv
import json

import numpy as np

from dvc_wandb import tracked_run
from stages.dataset import load_split
from stages.params import checked
from stages.pictures import draw


def main() -> None:
    with tracked_run("evaluate") as run:
        params = checked(run)

        from stages.determinism import keras_for
        from stages.model import measure

        keras = keras_for(params["seed"])

        # Load the evaluation digits
        x, y = load_split(run.dep("mnist"), "eval")

        # Take the model from the registry and measure it
        result = measure(keras, run.use_model("model.h5"), x, y)
        metrics = {"loss": result.loss, "accuracy": result.accuracy, "digits": len(y)}
        run.out("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        print(f"accuracy {result.accuracy:.4f}, loss {result.loss:.4f} on {len(y)} digits")

        # Save the prediction for each digit
        predicted = result.predicted
        with run.out("confusion.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["actual", "predicted"])
            rows.writerows(zip(y, predicted, strict=True))

        # Draw the mistakes that the model is most confident of
        confidence = result.probabilities.max(axis=1)
        mistakes = np.flatnonzero(predicted != y)
        worst = mistakes[np.argsort(-confidence[mistakes], kind="stable")][: params["evaluate.mistakes"]]
        captions = [f"{y[at]} taken for {predicted[at]}, {confidence[at]:.0%}" for at in worst]
        pixels = [x[at, :, :, 0] for at in worst]
        draw(run.out("mistakes.png"), list(zip(pixels, captions, strict=True)), without="no mistakes")


if __name__ == "__main__":
    main()
