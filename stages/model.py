"""Loads a network from a file, and measures it on digits. Keras must be set up first: see determinism.py."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvc_wandb import DvcWandbError, first_line
from stages.dataset import CLASSES


@dataclass(frozen=True)
class Measurement:
    """A network's results on n digits: `probabilities` float32 (n, 10), one row per digit, one column per class."""

    loss: float
    accuracy: float
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each digit, int64 (n,)."""
        return self.probabilities.argmax(axis=1)


def measure(keras: Any, path: Path, x: np.ndarray, y: np.ndarray) -> Measurement:
    """Measure the network in `path` on images (n, 28, 28, 1) with labels (n,). Raises DvcWandbError as `load` does."""
    model = load(keras, path)
    loss, accuracy = model.evaluate(x, keras.utils.to_categorical(y, CLASSES), verbose=0)
    return Measurement(loss, accuracy, model.predict(x, verbose=0))


def load(keras: Any, path: Path) -> Any:
    """The network in `path`. Raises DvcWandbError if the file can't be read, or holds another kind of network."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / "model.h5"  # Keras needs the suffix, which files in DVC's cache lack
            link.symlink_to(path.absolute())
            model = keras.models.load_model(link)
    except Exception as error:  # h5py and Keras raise many kinds for a broken file
        raise DvcWandbError(
            f"{path} can't be read as a Keras model ({first_line(error)}). "
            "`dvc checkout --force` restores it, `dvc repro train` makes it anew."
        ) from None
    if not model.compiled or model.input_shape[1:] != (28, 28, 1) or model.output_shape[1:] != (CLASSES,):
        raise DvcWandbError(f"{path} holds another network than `train` makes. `dvc checkout --force` restores it.")
    return model
