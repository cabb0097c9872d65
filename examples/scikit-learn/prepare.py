"""Split scikit-learn's digits: data/train.npz and data/eval.npz, each with x (n, 64) and y (n,)."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from dvc_wandb import tracked_run

with tracked_run("prepare") as run:
    params = run.params_in("params.yaml")["prepare"]
    x, y = load_digits(return_X_y=True)  # x (n, 64) in 0 … 16
    x_train, x_eval, y_train, y_eval = train_test_split(
        x / 16, y, test_size=params["eval_share"], random_state=params["seed"], stratify=y
    )
    folder = run.out("data")
    folder.mkdir(exist_ok=True)
    np.savez(folder / "train.npz", x=x_train, y=y_train)
    np.savez(folder / "eval.npz", x=x_eval, y=y_eval)
