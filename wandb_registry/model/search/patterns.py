"""Patterns that clients search with. None may take long: nobody else is answered while one is tried on a text.

A pattern isn't tried on a text where there are too many ways to try it, and is given up when it has used its time.
"""

import re
import time
from bisect import bisect
from collections.abc import Iterator
from functools import lru_cache
from math import prod
from re import _parser as sre  # type: ignore[attr-defined]  # to look into a pattern before it is run
from typing import Any

from wandb_registry.errors import BadInput

LONGEST = 200
SEARCHED = 300  # characters of each text
SHORT = 20  # characters that a pattern must be able to look at
MOST_STEPS = 30_000_000  # two repetitions without end on any text; three on a name of 100 characters
SECONDS = 2.0  # of the processor, for all texts of one question
REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)


class Search:
    """Tries patterns on the texts of one question."""

    def __init__(self):
        self._left = SECONDS
        self.refusal: BadInput | None = None  # why it went no further

    def __call__(self, pattern: str, value: Any) -> bool:
        """Whether the pattern is found in the beginning of a value's text."""
        if value is None:
            return False
        text = str(value)[:SEARCHED]
        if len(text) > reach(pattern):
            self.refusal = _too_costly(pattern, f"texts of more than {reach(pattern)} characters")
        elif self._left < 0:
            self.refusal = _too_costly(pattern, "all the texts that are here")
        if self.refusal:
            raise self.refusal
        began = time.thread_time()
        found = re.search(pattern, text) is not None
        self._left -= time.thread_time() - began
        return found


@lru_cache(maxsize=100)
def reach(pattern: str) -> int:
    """How long a text may be for this pattern; refuses one that can't be read, or used on any."""
    try:
        tree = sre.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadInput(f"The filter's pattern '{pattern[:80]}' can't be read: {error}.") from None
    if len(pattern) > LONGEST:
        raise BadInput(f"The filter's pattern '{pattern[:80]}…' has more than {LONGEST} characters.")
    found = bisect(range(SEARCHED + 1), MOST_STEPS, key=lambda length: _ways(tree, length) * len(pattern)) - 1
    if found < SHORT:
        raise _too_costly(pattern, "even a short text")
    return found


def _too_costly(pattern: str, where: str) -> BadInput:
    return BadInput(
        f"The filter's pattern '{pattern[:80]}' is too costly for {where}. Use fewer repetitions such as '.*', and no "
        "repetition or choice inside one."
    )


def _ways(tree: Any, length: int) -> int:
    """In how many ways, at most, a pattern can be tried from one place of a text."""
    return min(MOST_STEPS + 1, prod(_ways_of(code, argument, length) for code, argument in tree))


def _ways_of(code: Any, argument: Any, length: int) -> int:
    inner = [_ways(part, length) for part in _parts(argument)]
    if code in REPEATS:
        least, most = (min(count, length) for count in argument[:2])
        once = prod(inner)
        return most - least + 1 if once == 1 else sum(once**count for count in range(least, most + 1))
    return max(1, sum(inner)) if code in (sre.BRANCH, sre.GROUPREF_EXISTS) else prod(inner)


def _parts(argument: Any) -> Iterator[Any]:
    """The patterns inside an element of a pattern."""
    if isinstance(argument, sre.SubPattern):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for part in argument:
            yield from _parts(part)
