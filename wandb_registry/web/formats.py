"""How pages write times, sizes, numbers and digests: the filters of all templates."""

import json
import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

DIGITS, MOST_DIGITS = 4, 17  # of a metric: those that are read, and those that a float has
MOST_TYPED = 10  # characters of a number that somebody types
UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def when(text: str | None) -> str:
    """A short time: 22 Nov 16:46. Templates put the whole time into the attributes `datetime` and `title`."""
    if not text:
        return "–"
    time = datetime.fromisoformat(text)
    return f"{time.day} {time:%b %H:%M}"


def duration(seconds: float | None) -> str:
    """'1h 02m', '2m 05s' or '7s'."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def size(number: int) -> str:
    """Bytes in kB, MB or GB, with one decimal below 10."""
    for unit, name in UNITS:
        if number >= unit:
            value = number / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{number} B"


def count(number: int) -> str:
    return f"{number:,}"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """'1 file', '4,905 files'."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def value(value: Any) -> str:
    """A metric, a parameter or any other value, in one line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−") if abs(value) >= 10**4 else f"{value}".replace("-", "−")
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(too deep to be shown)"


def _decimal(number: float, digits: int = DIGITS) -> str:
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "∞" if number > 0 else "−∞"
    if number and not 1e-4 <= abs(number) < 1e7:
        return f"{number:.{digits - 1}g}".replace("-", "−")
    before_point = math.floor(math.log10(abs(number))) + 1 if number else 0
    return f"{number:,.{max(0, digits - before_point)}f}".replace("-", "−")


def given(typed: Any) -> str:
    """A configured value as it was typed, in one line: 0.00012345, 0.3, 20261117."""
    if isinstance(typed, bool) or not is_number(typed) or not -math.inf < typed < math.inf:
        return value(typed)
    if isinstance(typed, float) and 1e-7 <= abs(typed) < 1e16:
        return f"{Decimal(repr(typed)):f}".removesuffix(".0").replace("-", "−")
    return repr(typed).replace("-", "−")


def drawn_by_lot(number: Any) -> str:
    """A parameter that a search chose: as it was given, or four digits of a number that nobody would type."""
    text = given(number)
    return value(number) if isinstance(number, float) and len(text) > MOST_TYPED else text


def apart(values: Sequence[Any]) -> list[str]:
    """Values side by side: numbers with as many digits, four at least, as make those that differ read differently."""
    different = {number for number in values if isinstance(number, float) and math.isfinite(number)}
    digits = next(
        (
            digits
            for digits in range(DIGITS, MOST_DIGITS)
            if len({_decimal(number, digits) for number in different}) == len(different)
        ),
        MOST_DIGITS,
    )
    return [_decimal(number, digits) if isinstance(number, float) else value(number) for number in values]


def difference(number: float) -> str:
    """A number with its sign: +0.0057, −0.0214."""
    text = (
        f"{number:,.4f}".replace("-", "−") if 1e-4 <= abs(number) < 1e7 and isinstance(number, float) else value(number)
    )
    return text if number < 0 else f"+{text}"


def short(digest: str, characters: int = 8) -> str:
    """The beginning of a digest. A folder's suffix, `.dir`, stays visible."""
    head, dot, tail = digest.partition(".")
    return digest if len(head) <= characters + 2 else f"{head[:characters]}…{dot}{tail}"


def cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def query(pairs: list[tuple[str, str]]) -> str:
    """Pairs as the query of an address."""
    return urlencode(pairs, errors="replace")


FILTERS = {
    "query": query,
    "cut": cut,
    "when": when,
    "duration": duration,
    "size": size,
    "count": count,
    "plural": plural,
    "value": value,
    "given": given,
    "drawn_by_lot": drawn_by_lot,
    "apart": apart,
    "difference": difference,
    "short": short,
}
