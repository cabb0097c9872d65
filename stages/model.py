"""Saves a network with its classes, loads and measures it. Keras must be set up first: see determinism.py."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvc_wandb import DvcWandbError, one_line

NAMES = "classes"  # a dataset in model.h5; Keras leaves it alone


class UnfitModel(DvcWandbError):
    """A network that can't be measured on the data; the message goes on after the file's or the model's name."""


@dataclass(frozen=True)
class Measurement:
    """A network's results on n pictures: `probabilities` float32 (n, classes), one row per picture."""

    loss: float
    accuracy: float
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each picture, int64 (n,)."""
        return self.probabilities.argmax(axis=1)


def measure(keras: Any, path: Path, x: np.ndarray, y: np.ndarray, classes: list[str]) -> Measurement:
    """Measure the network in `path` on pictures (n, height, width, channels) with labels (n,). Raises UnfitModel."""
    model = load(keras, path, x.shape[1:], classes)
    loss, accuracy = model.evaluate(x, keras.utils.to_categorical(y, len(classes)), verbose=0)
    return Measurement(loss, accuracy, model.predict(x, verbose=0))


def save(model: Any, path: Path, classes: list[str]) -> None:
    """As .h5: its bytes depend on the weights and the names alone. A .keras archive holds the date."""
    import h5py

    model.save(path)
    if classes != _numbers(len(classes)):
        with h5py.File(path, "a") as file:
            file[NAMES] = np.frombuffer(json.dumps(classes).encode(), "uint8")


def load(keras: Any, path: Path, shape: tuple[int, ...], classes: list[str]) -> Any:
    """The network in `path`. Raises UnfitModel if it can't be read, or is for other pictures or classes."""
    import h5py

    try:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / "model.h5"  # Keras needs the suffix, which files in DVC's cache lack
            link.symlink_to(path.absolute())
            model = keras.models.load_model(link)
            with h5py.File(link) as file:
                names = (
                    json.loads(np.asarray(file[NAMES]).tobytes()) if NAMES in file else _numbers(model.output_shape[-1])
                )
    except Exception as error:  # h5py and Keras raise many kinds for a broken file
        raise UnfitModel(f"can't be read as a Keras model ({one_line(error)})") from None
    if not model.compiled:
        raise UnfitModel("is no network that `train` made")
    if model.input_shape[1:] != shape:
        takes, given = ("×".join(map(str, one)) for one in (model.input_shape[1:], shape))
        raise UnfitModel(f"takes pictures of {takes}, and the data has {given}")
    if names != classes:
        raise UnfitModel(f"tells the classes {_in_short(names)} apart, and the data has {_in_short(classes)}")
    return model


def _numbers(count: int) -> list[str]:
    return [str(label) for label in range(count)]


def _in_short(names: list[str]) -> str:
    """A few of the names, and how many there are: 0, 1, … 9 (10)."""
    return f"{', '.join(names[:2])}, … {names[-1]} ({len(names)})" if len(names) > 3 else ", ".join(names)
