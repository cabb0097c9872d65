"""Fit a logistic regression on the training digits: model.joblib."""

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

from dvc_wandb import tracked_run

with tracked_run("train") as run:
    params = run.params_in("params.yaml")["train"]
    with np.load(run.dep("data") / "train.npz") as arrays:
        model = LogisticRegression(C=params["C"], max_iter=params["max_iter"]).fit(arrays["x"], arrays["y"])
    joblib.dump(model, run.out("model.joblib"))
