"""Train the network on the training pictures and save it as model.h5.

    data/mnist ──▶ train ──▶ models/model.h5, reports/history.csv

Its input and its outputs are as many as the data has pixels and classes.
Run by `dvc repro`, or alone: python -m stages.train
"""

from __future__ import annotations

import csv
import math
import sys
from typing import Any

import numpy as np

from dvc_wandb import DvcWandbError, tracked_run
from stages.dataset import load_classes, load_split
from stages.model import save
from stages.params import SEED, above, auto_or, checked, one_of, pair, under, whole

RULES = {
    "seed": SEED,
    "model.filters": pair(whole(1, 1024), "[32, 64]"),
    "model.kernel_size": whole(1, 7, "pixels"),
    "model.pool_size": whole(1, 4, "pixels"),
    "model.dropout": under(0, 1),
    "train.optimizer": one_of("adam", "adamw", "sgd", "rmsprop", "adagrad", "nadam"),
    "train.learning_rate": auto_or(above(0, 10)),
    "train.batch_size": whole(1, 65_536, "pictures"),
    "train.epochs": whole(1, 10_000, "passes over the training pictures"),
    "train.validation_split": above(0, 1),
}


def main() -> None:
    with tracked_run("train", live=True) as run:
        params = checked(run, RULES)

        # Load the pictures that dvc.lock names
        (x, labels), classes = load_split(run.dep("mnist"), "train"), load_classes(run.dep("mnist"))
        check_fit(params, x)

        # Import slow packages only now, while the run opens in the background
        from sklearn.model_selection import train_test_split

        from stages.determinism import keras_for, warn_if_not_reproducible

        warn_if_not_reproducible()
        keras = keras_for(params["seed"])

        from wandb.integration.keras import WandbMetricsLogger  # it imports TensorFlow, so Keras is set up first

        # Hold some of them out for validation
        y = keras.utils.to_categorical(labels, len(classes))
        share = params["train.validation_split"]
        x_fit, x_val, y_fit, y_val = train_test_split(x, y, test_size=share, random_state=params["seed"])

        # Define the network
        layers = keras.layers
        (first, second), kernel, pool = (params[f"model.{name}"] for name in ("filters", "kernel_size", "pool_size"))
        model = keras.Sequential(
            [
                layers.Input(shape=x.shape[1:]),
                layers.Conv2D(first, kernel_size=kernel, activation="relu"),
                layers.MaxPooling2D(pool_size=pool),
                layers.Conv2D(second, kernel_size=kernel, activation="relu"),
                layers.MaxPooling2D(pool_size=pool),
                layers.Flatten(),
                layers.Dropout(params["model.dropout"]),
                layers.Dense(len(classes), activation="softmax"),
            ]
        )
        optimizer, rate = keras.optimizers.get(params["train.optimizer"]), params["train.learning_rate"]
        optimizer.learning_rate = optimizer.learning_rate if rate == "auto" else rate
        model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])

        # Train, each epoch shown in W&B as it ends; here by Keras's bars, or a line where there is no terminal
        run.wandb_run()  # wait for the run that the callback logs to
        bars, epochs = sys.stdout.isatty(), params["train.epochs"]
        lines = keras.callbacks.LambdaCallback(on_epoch_end=lambda at, logs: print_epoch(at + 1, epochs, logs))
        history = model.fit(
            x_fit,
            y_fit,
            batch_size=params["train.batch_size"],
            epochs=epochs,
            validation_data=(x_val, y_val),
            callbacks=[WandbMetricsLogger(), *([] if bars else [lines])],
            verbose=int(bars),
        )

        # Save it, and what it was like after each epoch
        save(model, run.out("model.h5"), classes)
        with run.out("history.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["epoch", *history.history])
            rows.writerows([epoch, *values] for epoch, values in enumerate(zip(*history.history.values(), strict=True)))


def check_fit(params: dict[str, Any], x: np.ndarray) -> None:
    """Raises DvcWandbError if the parameters leave nothing of the pictures; TensorFlow would say so much later."""
    kernel, pool, (height, width) = params["model.kernel_size"], params["model.pool_size"], x.shape[1:3]
    if any(((side - kernel + 1) // pool - kernel + 1) // pool < 1 for side in (height, width)):
        raise DvcWandbError(
            f"params.yaml: model.kernel_size {kernel} with model.pool_size {pool} leaves nothing of {height}×{width} "
            "pixels; make one of them smaller."
        )
    share = params["train.validation_split"]
    if math.ceil(len(x) * share) >= len(x):
        raise DvcWandbError(f"params.yaml: train.validation_split is {share}; of {len(x)} pictures it leaves none.")


def print_epoch(number: int, epochs: int, metrics: dict[str, float]) -> None:
    """An epoch as a line."""
    print(f"epoch {number}/{epochs}:", ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()), flush=True)


if __name__ == "__main__":
    main()
