"""Evaluate the registered model on the evaluation digits.

    registered model, data/mnist ──▶ evaluate ──▶ reports/: metrics.json, confusion.csv, mistakes.png

Run by `dvc repro`, or alone: python -m stages.evaluate
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from lineage import LineageError, first_line, tracked_run
from stages.digits import load_split
from stages.params import checked


def main() -> None:
    with tracked_run("evaluate") as run:
        params = checked(run)

        from stages.determinism import keras_for

        keras = keras_for(params["seed"])

        # Load the evaluation digits
        x, y = load_split(run.dep("mnist"), "eval")

        # Take the model from the registry
        model = load(keras, run.use_model("model.h5"))

        # Measure it
        loss, accuracy = model.evaluate(x, keras.utils.to_categorical(y, 10))
        metrics = {"loss": loss, "accuracy": accuracy, "digits": len(y), "eval_md5": run.md5("mnist")}
        run.out("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")

        # Show what it takes for what
        chances = model.predict(x, verbose=0)
        predicted = chances.argmax(axis=1)
        with run.out("confusion.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["actual", "predicted"])
            rows.writerows(zip(y, predicted, strict=True))

        # Draw the mistakes that it is surest of
        wrong = np.flatnonzero(predicted != y)
        worst = wrong[np.argsort(-chances[wrong, predicted[wrong]], kind="stable")][: params["evaluate.mistakes"]]
        draw(run.out("mistakes.png"), [(x[at, :, :, 0], y[at], predicted[at], chances[at].max()) for at in worst])


def load(keras: Any, path: Path) -> Any:
    """The model in `path`; raises LineageError where that is no network that tells ten digits apart."""
    try:
        model = keras.models.load_model(path)
    except Exception as error:  # h5py and Keras raise a dozen kinds for a broken file
        raise LineageError(
            f"{path} can't be read as a Keras model ({first_line(error)}). "
            "`dvc checkout --force` restores it, `dvc repro train` makes it anew."
        ) from None
    if not model.compiled or model.input_shape[1:] != (28, 28, 1) or model.output_shape[1:] != (10,):
        raise LineageError(f"{path} holds another network than `train` makes. `dvc checkout --force` restores it.")
    return model


def draw(path: Path, mistakes: list[tuple[np.ndarray, Any, Any, Any]]) -> None:
    """A sheet of digits, each over what it is, what the model took it for and how sure it was."""
    from PIL import Image, ImageDraw, ImageFont

    across, digit, width, height = 5, 84, 132, 116
    down = max(1, -(-len(mistakes) // across))
    sheet = Image.new("L", (across * width, down * height), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for at, (pixels, actual, predicted, chance) in enumerate(mistakes):
        left, top = at % across * width + (width - digit) // 2, at // across * height + 6
        picture = Image.fromarray(np.rint(255 - pixels * 255).astype("uint8")).resize(
            (digit, digit), Image.Resampling.NEAREST
        )
        sheet.paste(picture, (left, top))
        pen.text((left - 14, top + digit + 4), f"{actual} taken for {predicted}, {chance:.0%}", fill=0, font=font)
    if not mistakes:
        pen.text((10, 50), "no mistakes", fill=0, font=font)
    sheet.save(path, compress_level=0)  # stored, since zlib's bytes differ between its builds


if __name__ == "__main__":
    main()
