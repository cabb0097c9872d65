"""How far apart two runs of a commit may be where they can't be equal to the byte: on another processor, on a GPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.report.file_differences import FileDifference

KINDS = {
    "metrics": (".json", ".yaml", ".yml", ".csv"),  # numbers in texts
    "weights": (".h5", ".hdf5", ".npz", ".npy"),  # arrays
}


@dataclass(frozen=True)
class Tolerance:
    """The largest absolute difference that is allowed, by the kind of file; none of a kind that isn't named."""

    largest: tuple[tuple[str, float], ...] = ()

    def allows(self, name: str, difference: FileDifference) -> bool:
        """Whether two files called `name` are near enough."""
        suffix = Path(name).suffix.lower()
        return any(suffix in KINDS[kind] and difference.distance <= largest for kind, largest in self.largest)

    def __str__(self) -> str:
        return ",".join(f"{kind}={largest:g}" for kind, largest in self.largest)


EXACT = Tolerance()


def parse(text: str) -> Tolerance:
    """A tolerance as it is typed, such as metrics=0.01,weights=1e-5. Raises DvcWandbError."""
    largest = {}
    for part in text.split(","):
        kind, _, number = part.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if kind in largest:
            raise DvcWandbError(f"the tolerance of {kind} is given twice: {text}.")
        if kind not in KINDS or not 0 <= value < math.inf:
            raise DvcWandbError(
                f"'{part}' is no tolerance; write the largest difference of {' or '.join(KINDS)}, such as "
                "metrics=0.01,weights=1e-5."
            )
        largest[kind] = value
    return Tolerance(tuple(largest.items()))
