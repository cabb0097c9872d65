"""Which parameters matter for the result of a sweep: a random forest over its runs, and each parameter's correlation.

A small forest, as in L. Breiman, Random Forests (2001): trees that split where the variance falls most, each grown on a
draw of the runs. It is drawn from a fixed seed, so that a page shows the same twice.

scikit-learn's forest tells the same, as a test holds. It is not used here, since its import costs the server 1.3 s at
the first page of a sweep and 140 MB from then on, and an installed registry would need it and SciPy for this alone.
This one grows in 20 ms.
"""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

TREES, DEEPEST, LEAST_RUNS = 20, 5, 8
MOST_RUNS = 100  # that the forest is grown on
Column = tuple[float, ...]


@dataclass(frozen=True)
class Forest:
    """The share of each column in the fall of the variance, and R² on the runs that a tree wasn't shown."""

    importance: list[float]
    r2: float | None  # None if no run was left out by every tree's draw, or all results are the same


@dataclass(frozen=True)
class _Split:
    column: int
    at: float
    below: "_Split | float"
    above: "_Split | float"


@lru_cache(maxsize=64)  # a page of a sweep asks for the same again, unless another run has ended
def forest(columns: tuple[Column, ...], results: Column) -> Forest | None:
    """A forest that tells the results from the columns. None for too few runs, or where nothing varies."""
    if len(results) < LEAST_RUNS or not columns or max(results) == min(results):
        return None
    chance, gains = random.Random(1), [0.0] * len(columns)
    guesses: list[list[float]] = [[] for _ in results]
    for _ in range(TREES):
        drawn = [chance.randrange(len(results)) for _ in results]
        tree = _grown(columns, results, drawn, gains, DEEPEST)
        for row in set(range(len(results))).difference(drawn):
            guesses[row].append(_guess(tree, columns, row))
    total = sum(gains)
    if not total:
        return None
    return Forest([gain / total for gain in gains], _r2(results, guesses))


def _r2(results: Column, guesses: list[list[float]]) -> float | None:
    told = [(result, statistics.fmean(guess)) for result, guess in zip(results, guesses, strict=True) if guess]
    mean = statistics.fmean(result for result, _ in told) if told else 0
    spread = sum((result - mean) ** 2 for result, _ in told)
    return 1 - sum((result - guess) ** 2 for result, guess in told) / spread if spread else None


def _grown(
    columns: Sequence[Column], results: Column, rows: list[int], gains: list[float], depth: int
) -> "_Split | float":
    """A tree over these rows. It adds to `gains` what each column's splits brought."""
    best = (0.0, 0, 0.0)
    for column, values in enumerate(columns) if depth and len(rows) > 2 else ():
        gain, at = _best_split(values, results, rows)
        best = max(best, (gain, column, at))
    gain, column, at = best
    if gain <= 0:
        return statistics.fmean(results[row] for row in rows)
    gains[column] += gain
    below = [row for row in rows if columns[column][row] <= at]
    above = [row for row in rows if columns[column][row] > at]
    grown = [_grown(columns, results, part, gains, depth - 1) for part in (below, above)]
    return _Split(column, at, *grown)


def _best_split(values: Column, results: Column, rows: list[int]) -> tuple[float, float]:
    """How much the sum of squares falls at most if the rows are split by these values, and where; 0 if it doesn't."""
    ordered = sorted((values[row], results[row]) for row in rows)
    count, total, below, best = len(ordered), sum(result for _, result in ordered), 0.0, (0.0, 0.0)
    for at in range(1, count):
        below += ordered[at - 1][1]
        if ordered[at - 1][0] < ordered[at][0]:
            gain = below**2 / at + (total - below) ** 2 / (count - at) - total**2 / count
            best = max(best, (gain, (ordered[at - 1][0] + ordered[at][0]) / 2))
    return best if best[0] > 1e-12 else (0.0, 0.0)


def _guess(tree: "_Split | float", columns: Sequence[Column], row: int) -> float:
    while isinstance(tree, _Split):
        tree = tree.below if columns[tree.column][row] <= tree.at else tree.above
    return tree


def correlation(column: Column, results: Column) -> float | None:
    """Pearson's correlation; None where one of them doesn't vary."""
    if len(results) < 2 or min(column) == max(column) or min(results) == max(results):
        return None
    found = statistics.correlation(column, results)
    return found if math.isfinite(found) else None
