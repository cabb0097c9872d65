"""Measure the registered model on the evaluation digits: metrics.json, confusion.csv."""

import csv
import json

import joblib
import numpy as np

from dvc_wandb import tracked_run

with tracked_run("evaluate") as run:
    model = joblib.load(run.use_model("model.joblib"))
    with np.load(run.dep("data") / "eval.npz") as arrays:
        actual, predicted = arrays["y"], model.predict(arrays["x"])
    accuracy = float((actual == predicted).mean())
    run.out("metrics.json").write_text(json.dumps({"accuracy": accuracy, "digits": len(actual)}, indent=2) + "\n")
    with run.out("confusion.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["actual", "predicted"])
        rows.writerows(zip(actual, predicted, strict=True))
