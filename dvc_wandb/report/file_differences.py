"""How far two files of one name are apart, by their kind: the largest absolute difference of their numbers.

Knows .h5, .npz, .npy, .json, .yaml and .csv; what isn't numbers is compared for equality.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc_wandb.errors import one_line

Leaves = dict[str, Any]  # the arrays, numbers and texts of a file by where they stand in it


@dataclass(frozen=True)
class FileDifference:
    """How two files differ, in a phrase, and the largest absolute difference of their numbers.

    That is infinite where they differ in more than numbers, or nobody can tell.
    """

    phrase: str
    distance: float = math.inf


def describe(name: str, first: Path, second: Path) -> FileDifference:
    """How two files called `name` differ, which are known to have other bytes."""
    suffix = Path(name).suffix.lower()
    read = READERS.get(suffix)
    sizes = first.stat().st_size, second.stat().st_size
    by_size = f"{sizes[0]} and {sizes[1]} bytes" if sizes[0] != sizes[1] else f"{sizes[0]} bytes both"
    if read is None:
        return FileDifference(by_size)
    try:
        found = _compare(dict(read(first)), dict(read(second)))
        return found if found.phrase else FileDifference(f"equal numbers in other bytes ({by_size})", 0.0)
    except ImportError as error:
        return FileDifference(f"{by_size}; {error.name} would be needed to compare what is in them")
    except Exception as error:  # a file that its own format's library can't read
        return FileDifference(f"{by_size}; they can't be read as {suffix}: {one_line(error)}")


def _compare(first: Leaves, second: Leaves) -> FileDifference:
    """The largest difference and where it is, then what can't be subtracted; nothing where all is equal."""
    distances: list[tuple[float, str]] = []
    other: list[str] = []
    for name in sorted(first.keys() & second.keys()):
        distance = _distance(first[name], second[name])
        if isinstance(distance, str):
            other.append(f"{name}: {distance}")
        elif distance:
            distances.append((distance, name))
    other += (f"{name} is in one only" for name in sorted(first.keys() ^ second.keys()))
    phrases = []
    if distances:
        largest, name = max(distances, key=lambda pair: pair[0])
        phrases.append(f"max abs difference {largest:.6g} in {name}, {len(distances)} of {len(first)} differ")
    if other:
        phrases.append("; ".join(other[:3]) + (f"; and {len(other) - 3} more" if len(other) > 3 else ""))
    largest = max((distance for distance, _ in distances), default=0.0)
    return FileDifference("; ".join(phrases), math.inf if other else largest)


def _distance(first: Any, second: Any) -> float | str:
    """The largest absolute difference, or a phrase where there is none to take."""
    import numpy

    one, two = numpy.asarray(first), numpy.asarray(second)
    if one.shape != two.shape:
        return f"shape {one.shape} and {two.shape}"
    if not (numpy.issubdtype(one.dtype, numpy.number) and numpy.issubdtype(two.dtype, numpy.number)):
        return 0.0 if numpy.array_equal(one, two) else f"{_short_repr(first)} and {_short_repr(second)}"
    kind = complex if numpy.iscomplexobj(one) or numpy.iscomplexobj(two) else float
    differ = ~((one == two) | ((one != one) & (two != two)))  # a NaN on both sides is no difference
    largest = float(numpy.abs(one[differ].astype(kind) - two[differ].astype(kind)).max(initial=0.0))
    return "NaN or infinity on one side" if not math.isfinite(largest) else largest


def _short_repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else "other values"


# ---- reading ----


def _h5(path: Path) -> Iterator[tuple[str, Any]]:
    import h5py

    leaves: Leaves = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, one: leaves.update({name: one[()]}) if isinstance(one, h5py.Dataset) else None)
    yield from leaves.items()


def _npz(path: Path) -> Iterator[tuple[str, Any]]:
    import numpy

    with numpy.load(path, allow_pickle=False) as file:
        yield from ((name, file[name]) for name in file.files)


def _npy(path: Path) -> Iterator[tuple[str, Any]]:
    import numpy

    yield "the array", numpy.load(path, allow_pickle=False)


def _json(path: Path) -> Iterator[tuple[str, Any]]:
    yield from _leaves(json.loads(path.read_text()))


def _yaml(path: Path) -> Iterator[tuple[str, Any]]:
    import yaml

    yield from _leaves(yaml.safe_load(path.read_text()))


def _csv(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(newline="") as file:
        for at, row in enumerate(csv.reader(file), start=1):
            for column, value in enumerate(row, start=1):
                yield f"row {at}, column {column}", _number(value)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(one, f"{name}.{key}".lstrip("."))
    else:
        yield name, value if isinstance(value, int | float) else str(value)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


READERS: dict[str, Callable[[Path], Iterator[tuple[str, Any]]]] = {
    ".h5": _h5,
    ".hdf5": _h5,
    ".npz": _npz,
    ".npy": _npy,
    ".json": _json,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".csv": _csv,
}
