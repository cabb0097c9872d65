"""Train the network on the training digits and save it as model.h5.

    data/mnist ──▶ train ──▶ models/model.h5, reports/history.csv

Run by `dvc repro`, or alone: python -m stages.train
"""

from __future__ import annotations

import csv
import sys

from dvc_wandb import DvcWandbError, tracked_run
from stages.dataset import load_split
from stages.params import checked


def main() -> None:
    with tracked_run("train", live=True) as run:
        params = checked(run)

        # Import slow packages only now, while the run opens in the background
        from sklearn.model_selection import train_test_split

        from stages.determinism import keras_for, warn_if_not_reproducible

        warn_if_not_reproducible()
        keras = keras_for(params["seed"])
        layers = keras.layers

        # Load the digits that dvc.lock names
        x, labels = load_split(run.dep("mnist"), "train")
        y = keras.utils.to_categorical(labels, 10)

        # Hold some of them out for validation
        held_out = params["train.validation_split"]
        if not 1 <= round(len(x) * held_out) < len(x):
            raise DvcWandbError(
                f"params.yaml: train.validation_split is {held_out}; of {len(x)} digits it leaves none."
            )
        x_fit, x_val, y_fit, y_val = train_test_split(x, y, test_size=held_out, random_state=params["seed"])

        # Define the network
        first, second = params["model.filters"]
        kernel, pool = params["model.kernel_size"], params["model.pool_size"]
        if ((28 - kernel + 1) // pool - kernel + 1) // pool < 1:
            raise DvcWandbError(
                f"params.yaml: model.kernel_size {kernel} with model.pool_size {pool} leaves nothing of 28 pixels; "
                "make one of them smaller."
            )
        model = keras.Sequential(
            [
                layers.Input(shape=(28, 28, 1)),
                layers.Conv2D(first, kernel_size=kernel, activation="relu"),
                layers.MaxPooling2D(pool_size=pool),
                layers.Conv2D(second, kernel_size=kernel, activation="relu"),
                layers.MaxPooling2D(pool_size=pool),
                layers.Flatten(),
                layers.Dropout(params["model.dropout"]),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(loss="categorical_crossentropy", optimizer=params["train.optimizer"], metrics=["accuracy"])

        # Train. W&B shows each epoch as it ends; Keras shows bars on a terminal, else we print a line
        from wandb.integration.keras import WandbMetricsLogger

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

        # Save as .h5: its bytes depend on the weights alone. A .keras archive holds the date
        model.save(run.out("model.h5"))
        with run.out("history.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["epoch", *history.history])
            rows.writerows([epoch, *values] for epoch, values in enumerate(zip(*history.history.values(), strict=True)))


def print_epoch(number: int, epochs: int, metrics: dict[str, float]) -> None:
    """An epoch as a line."""
    print(f"epoch {number}/{epochs}:", ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()), flush=True)


if __name__ == "__main__":
    main()
