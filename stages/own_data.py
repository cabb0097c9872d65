"""Reads pictures of any size and channels, with any classes, and says what is wrong with them.

From an .npz file, or from a folder CLASS/picture.png. Classes are numbered in the order of their names, or as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvc_wandb import DvcWandbError, one_line
from stages.dataset import Split

MIN_CLASSES, MAX_CLASSES = 2, 1000
PAIRS = (("x_train", "y_train"), ("x_eval", "y_eval"), ("x_test", "y_test"))  # in an .npz
SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Arrays:
    """Pictures and labels as they were found, with the names that messages call them by."""

    x_name: str
    x: np.ndarray
    y_name: str
    y: np.ndarray


@dataclass(frozen=True)
class Pools:
    """What there is to draw from: one split, or one for training and one for evaluation.

    Pictures are uint8 (n, height, width, channels), labels int64 (n,): places in `classes`, the names.
    """

    splits: list[Split]
    classes: list[str]


def from_npz(path: Path) -> Pools:
    """x_train and y_train, perhaps x_eval and y_eval, perhaps the names of the `classes`."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: np.asarray(arrays[name]) for name in arrays.files}
    except FileNotFoundError:
        raise DvcWandbError(f"data.source: there is no file {path}.") from None
    except Exception as error:  # numpy and zipfile raise a dozen kinds for a broken file
        reason = one_line(error)
        raise DvcWandbError(f"data.source: {path} can't be read as an .npz of plain arrays ({reason}).") from None
    names = [pair for pair in PAIRS if set(pair) & set(found)]
    if PAIRS[0] not in names or any(name not in found for pair in names for name in pair):
        held = ", ".join(sorted(found)) or "nothing"
        raise DvcWandbError(
            f"data.source: {path} holds {held}. It needs x_train and y_train, and may have both x_eval and y_eval "
            "(or x_test and y_test); without these the evaluation pictures are taken from the training ones."
        )
    arrays = [Arrays(x, found[x], y, found[y]) for x, y in names[:2]]
    return as_pools(str(path), arrays, _texts(found["classes"]) if "classes" in found else ())


def from_folder(folder: Path, size: tuple[int, int] | None) -> Pools:
    """The pictures CLASS/picture.png, .jpg or .jpeg, grey where all are; scaled to `size` = (height, width)."""
    classes = sorted((one.name for one in folder.iterdir() if one.is_dir() and one.name[0] != "."), key=_natural)
    files: list[Path] = []
    labels: list[str] = []
    for name in classes:
        inside = sorted(file for file in (folder / name).iterdir() if file.suffix.lower() in SUFFIXES)
        if not inside:
            raise DvcWandbError(f"data.source: {folder / name} holds no picture; they must end in .png, .jpg or .jpeg.")
        files += inside
        labels += [name] * len(inside)
    x = [_read_picture(file, size) for file in files]
    channels = max((picture.shape[2] for picture in x), default=1)
    for file, picture in zip(files, x, strict=True):
        if picture.shape[:2] != x[0].shape[:2]:
            (height, width), (first_height, first_width) = picture.shape[:2], x[0].shape[:2]
            raise DvcWandbError(
                f"data.source: {files[0]} has {first_height}×{first_width} pixels (height×width), {file} has "
                f"{height}×{width}. Set data.image_size in params.yaml, such as [{first_height}, {first_width}], to "
                "scale them to one size."
            )
    if not files:
        raise DvcWandbError(f"data.source: {folder} holds no folders; it needs one with pictures for each class.")
    same = [np.broadcast_to(picture, (*picture.shape[:2], channels)) for picture in x]  # a grey one among colours
    return as_pools(str(folder), [Arrays("x", np.array(same), "y", np.array(labels))], classes)


def _read_picture(file: Path, size: tuple[int, int] | None) -> np.ndarray:
    """uint8 (height, width, 1) for a grey picture, else (height, width, 3); scaled to `size`."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            picture = ImageOps.exif_transpose(opened)
            if picture.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
                pixels = (np.asarray(picture) >> 8).astype("uint8")
            else:
                pixels = np.asarray(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))
    except Exception as error:  # Pillow raises a dozen kinds for a broken file
        raise DvcWandbError(f"data.source: {file} can't be read as a picture ({one_line(error)}).") from None
    return scaled(pixels.reshape(1, *pixels.shape[:2], -1), size)[0]


def scaled(x: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Pictures uint8 (n, height, width, channels), each scaled to `size` = (height, width) if there is one."""
    if size is None or x.shape[1:3] == size:
        return x
    from PIL import Image

    made = np.empty((len(x), *size, x.shape[3]), "uint8")
    for at, picture in enumerate(x):
        for channel in range(x.shape[3]):
            one = Image.fromarray(np.ascontiguousarray(picture[..., channel]))
            made[at, ..., channel] = one.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return made


def as_pools(source: str, found: list[Arrays], classes: Sequence[str] = ()) -> Pools:
    """Check what was found; without names, `classes` are called by their labels. Raises DvcWandbError."""

    def wrong(what: str) -> DvcWandbError:
        return DvcWandbError(f"data.source: {source}: {what}")

    try:
        x = [_pictures(one) for one in found]
        y = [_labels(one) for one in found]
        names, places = _numbered([one.y_name for one in found], y, list(classes))
    except ValueError as error:
        raise wrong(str(error)) from None
    if len({pictures.shape[1:] for pictures in x}) > 1:
        raise wrong(
            f"{found[0].x_name} has pictures of {shape_of(x[0])}, {found[1].x_name} of {shape_of(x[1])}; "
            "they must be the same."
        )
    if not MIN_CLASSES <= len(names) <= MAX_CLASSES:
        raise wrong(f"it has {len(names):,} classes; it must have from {MIN_CLASSES} to {MAX_CLASSES:,}.")
    unseen = set(places[-1].tolist()) - set(places[0].tolist())
    if unseen:
        unknown = names[min(unseen)]
        raise wrong(f"{found[-1].y_name} has the class {unknown!r}, which {found[0].y_name} hasn't to learn from.")
    return Pools(list(zip(x, places, strict=True)), names)


def shape_of(x: np.ndarray) -> str:
    """The size of pictures (n, height, width, channels) in words: 28×28×1."""
    return "×".join(map(str, x.shape[1:]))


def _pictures(found: Arrays) -> np.ndarray:
    """uint8 (n, height, width, channels); raises ValueError where the array can't be pictures."""
    name, x = found.x_name, found.x
    side = math.isqrt(x.shape[1]) if x.ndim == 2 else 0
    if side and side**2 == x.shape[1]:
        x = x.reshape(-1, side, side)
    if x.ndim == 3:
        x = x[..., np.newaxis]
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ValueError(
            f"{name} has shape {found.x.shape}; it must be (n, height, width) or (n, height, width, channels)."
        )
    if x.shape[1] in (1, 3) and x.shape[-1] > 4:
        raise ValueError(f"{name} has shape {x.shape}; the channels must come last: (n, height, width, channels).")
    if len(x) == 0:
        raise ValueError(f"{name} and {found.y_name} are empty.")
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{name} is of type {x.dtype}; it must hold real numbers.")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} holds NaN or infinite values.")
    # No picture in 0 … 255 is as dark as a largest value below 2
    fractions = x.dtype.kind == "b" or (x.dtype.kind == "f" and x.max() < 2)
    if x.min() < 0 or x.max() > (1 if fractions else 255):
        raise ValueError(
            f"{name} holds values from {x.min()} to {x.max()}; they must lie in 0 … 255, or 0 … 1 for floats."
        )
    return np.rint(x * 255 if fractions else x).astype("uint8")


def _labels(found: Arrays) -> np.ndarray:
    """Labels (n,), int64 or str; raises ValueError where the array can't be labels."""
    name, y, n = found.y_name, found.y, len(found.x)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (n,):
        raise ValueError(f"{name} has shape {y.shape}; {found.x_name} has {n} pictures, so it must be ({n},).")
    if y.dtype.kind in "US":
        return np.array(_texts(y))
    if y.dtype.kind not in "biuf":
        raise ValueError(f"{name} is of type {y.dtype}; it must hold whole numbers or names.")
    if not np.isfinite(y).all() or (y % 1 != 0).any():
        raise ValueError(f"{name} holds numbers that are not whole, such as {y[~np.isfinite(y) | (y % 1 != 0)][0]}.")
    return y.astype("int64")


def _numbered(y_names: list[str], y: list[np.ndarray], classes: list[str]) -> tuple[list[str], list[np.ndarray]]:
    """The names of the classes, and labels as places among them; raises ValueError."""
    if len(set(classes)) < len(classes):
        raise ValueError("two of the classes have the same name.")
    if classes and all(labels.dtype.kind != "U" for labels in y):
        for name, labels in zip(y_names, y, strict=True):
            if labels.min() < 0 or labels.max() >= len(classes):
                raise ValueError(
                    f"{name} holds labels from {labels.min()} to {labels.max()}; classes names {len(classes)}, so they "
                    f"must go from 0 to {len(classes) - 1}."
                )
        return classes, y
    texts = [[str(label) for label in labels.tolist()] for labels in y]
    names = classes or sorted({label for labels in texts for label in labels}, key=_natural)
    place = {name: at for at, name in enumerate(names)}
    for name, labels in zip(y_names, texts, strict=True):
        if strange := sorted(set(labels) - set(names)):
            raise ValueError(f"{name} has the label {strange[0]!r}, which is none of the classes.")
    return names, [np.array([place[label] for label in labels], "int64") for labels in texts]


def _texts(array: np.ndarray) -> list[str]:
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in array.ravel().tolist()]


def _natural(name: str) -> tuple[Any, ...]:
    """The order of names: numbers by their value, before words."""
    try:
        return (0, int(name), name)
    except ValueError:
        return (1, 0, name)
