"""The benchmark's first contender: the same digits and network in one script, with no DVC and no tracking."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import yaml

from stages.determinism import keras_for
from stages.sources import load
from stages.splits import draw_splits


def main(folder: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    data, network, training, seed = params["data"], params["model"], params["train"], params["seed"]
    source = data["source"]
    pools = load(source, None)
    (x, y), (x_eval, y_eval) = draw_splits(source, pools.splits, data["train_size"], data["eval_size"], seed)
    keras = keras_for(seed)
    from sklearn.model_selection import train_test_split

    def pixels(images: np.ndarray) -> np.ndarray:
        return images.astype("float32") / 255

    x_fit, x_val, y_fit, y_val = train_test_split(
        pixels(x), keras.utils.to_categorical(y, 10), test_size=training["validation_split"], random_state=seed
    )
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input(shape=(28, 28, 1)),
            layers.Conv2D(network["filters"][0], network["kernel_size"], activation="relu"),
            layers.MaxPooling2D(network["pool_size"]),
            layers.Conv2D(network["filters"][1], network["kernel_size"], activation="relu"),
            layers.MaxPooling2D(network["pool_size"]),
            layers.Flatten(),
            layers.Dropout(network["dropout"]),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer=training["optimizer"], metrics=["accuracy"])
    model.fit(
        x_fit, y_fit, batch_size=training["batch_size"], epochs=training["epochs"], validation_data=(x_val, y_val)
    )
    model.save(folder / "model.h5")
    loss, accuracy = model.evaluate(pixels(x_eval), keras.utils.to_categorical(y_eval, 10))
    (folder / "metrics.json").write_text(json.dumps({"loss": loss, "accuracy": accuracy}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
