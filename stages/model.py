"""A network in a file: read, and measured on digits. Import it once Keras is set up: see determinism.py."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvc_wandb import LineageError, first_line
from stages.dataset import CLASSES


@dataclass(frozen=True)
class Measured:
    """What a network makes of n digits: `chances` float32 (n, 10), a row a digit, a column a class."""

    loss: float
    accuracy: float
    chances: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The class that it is surest of, int64 (n,)."""
        return self.chances.argmax(axis=1)


def measure(keras: Any, path: Path, x: np.ndarray, y: np.ndarray) -> Measured:
    """Measure the network in `path` on images (n, 28, 28, 1) with labels (n,); raises LineageError where it is none."""
    model = load(keras, path)
    loss, accuracy = model.evaluate(x, keras.utils.to_categorical(y, CLASSES), verbose=0)
    return Measured(loss, accuracy, model.predict(x, verbose=0))


def load(keras: Any, path: Path) -> Any:
    """The model in `path`; raises LineageError where that is no network that tells ten digits apart."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            named = Path(folder) / "model.h5"  # Keras goes by the suffix, which DVC's cache leaves out
            named.symlink_to(path.absolute())
            model = keras.models.load_model(named)
    except Exception as error:  # h5py and Keras raise a dozen kinds for a broken file
        raise LineageError(
            f"{path} can't be read as a Keras model ({first_line(error)}). "
            "`dvc checkout --force` restores it, `dvc repro train` makes it anew."
        ) from None
    if not model.compiled or model.input_shape[1:] != (28, 28, 1) or model.output_shape[1:] != (CLASSES,):
        raise LineageError(f"{path} holds another network than `train` makes. `dvc checkout --force` restores it.")
    return model
