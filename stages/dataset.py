"""Reads the dataset that `prepare` makes, for the stages after it: data/mnist.

train.npz, eval.npz    pictures and labels of a split
classes.json           the names of the classes; not written where they are just 0, 1, 2, … up to the highest label
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np

from dvc_wandb import DvcWandbError, one_line

Split = tuple[np.ndarray, np.ndarray]  # pictures, labels

NAMES = "classes.json"


def load_split(folder: Path, name: str) -> Split:
    """The split `name`: pictures float32 (n, height, width, channels) in [0, 1], labels int64 (n,)."""
    return _read(folder / f"{name}.npz", f"x_{name}"), _read(folder / f"{name}.npz", f"y_{name}")


def load_classes(folder: Path) -> list[str]:
    """The name of each class, at the place that is its label."""
    file = folder / NAMES
    if not file.exists():
        return numbered(_read(folder / "eval.npz", "y_eval"))
    try:
        names = json.loads(file.read_text())
    except ValueError as error:
        raise _unreadable(file, error) from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _unreadable(file, ValueError("it is no list of names"))
    return names


def numbered(labels: np.ndarray) -> list[str]:
    """The names that classes have without any: their labels."""
    return [str(label) for label in range(int(labels.max()) + 1)]


def evaluation_md5(folder: Path) -> str:
    """The md5 of the evaluation pictures, their labels and the names of their classes, as far as they have any."""
    names = folder / NAMES
    return hashlib.md5((folder / "eval.npz").read_bytes() + (names.read_bytes() if names.exists() else b"")).hexdigest()


def as_picture(pixels: np.ndarray) -> np.ndarray:
    """Pixels float (height, width, channels) in [0, 1] as uint8 that Pillow and W&B show: RGB, or grey (height, width).

    uint8 on purpose: wandb.Image casts floats in [0, 1] without scaling, which gives black pictures.
    """
    shown = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0]
    return np.rint(shown * 255).astype("uint8")


def _read(path: Path, name: str) -> np.ndarray:
    try:
        with np.load(path) as arrays:
            return arrays[name]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> DvcWandbError:
    return DvcWandbError(f"{path} can't be read ({one_line(error)}). `dvc repro prepare` makes it anew.")
