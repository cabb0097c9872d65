"""Reads the dataset that `prepare` saved in data/mnist: one file per split."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from dvc_wandb import DvcWandbError, first_line

Split = tuple[np.ndarray, np.ndarray]  # images, labels

CLASSES = 10


def load_split(folder: Path, name: str) -> Split:
    """The split `name` that `prepare` saved: images float32 (n, 28, 28, 1) in [0, 1], labels int64 (n,)."""
    path = folder / f"{name}.npz"
    try:
        with np.load(path) as arrays:
            return arrays[f"x_{name}"], arrays[f"y_{name}"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DvcWandbError(
            f"{path} can't be read ({first_line(error)}). `dvc checkout --force` restores it."
        ) from None
