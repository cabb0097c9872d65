"""The steps of a logged key, one of which a page shows: a slider for each key, which the address holds.

`at=KEY=3` shows the third step of a key. With `together=1` the key that was moved last, `moved`, takes all others to
their newest step that isn't after its own.
"""

from dataclasses import dataclass
from typing import Any

from wandb_registry.model.nested_keys import within
from wandb_registry.model.runs import history
from wandb_registry.web import addresses
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]


@dataclass(frozen=True)
class Stepper:
    """One key's steps: which of them is shown, its number among all of the key, and the addresses of its neighbours."""

    key: str
    value: Row  # what was logged there
    step: int | None
    place: int  # from 1, the oldest
    total: int
    previous: str | None
    next: str | None
    kept: list[tuple[str, str]]  # what the slider's form keeps of the address


def steppers(request: PageRequest, run: Row, counts: dict[str, int]) -> dict[str, Stepper]:
    """The steppers of the keys that were logged more than once, by key. `counts` says how often each was."""
    chosen = _chosen(request)
    moved = request.query.get("moved", "")
    leading = _row(request, run, moved, chosen[moved], counts[moved]) if moved in chosen and moved in counts else None
    last = history.step(leading) if leading and request.query.get("together") else None
    found = {}
    for key, total in counts.items():
        place = total if last is None else history.count_with(request.db, run, key, last)
        place = max(1, min(chosen.get(key, total) if last is None or key == moved else place, total))
        row = _row(request, run, key, place, total) if total > 1 else None
        if row:
            found[key] = _stepper(request, key, row, place, total)
    return found


def _chosen(request: PageRequest) -> dict[str, int]:
    """The steps that the address names, by key, and the slider that was just moved."""
    named = [text.rpartition("=") for text in request.query.getlist("at")]
    if moved := request.query.get("moved"):
        named.append((moved, "=", request.query.get("place", "")))
    return {key: int(place) for key, _, place in named if place.isascii() and place.isdigit() and len(place) < 10}


def _row(request: PageRequest, run: Row, key: str, place: int, total: int) -> Row | None:
    return next(iter(history.newest_with(request.db, run, key, 1, max(0, total - place))), None)


def _stepper(request: PageRequest, key: str, row: Row, place: int, total: int) -> Stepper:
    others = [f"{name}={number}" for name, number in _chosen(request).items() if name != key]
    rest = [(name, value) for name, value in request.query.multi_items() if name not in ("at", "moved", "place")]

    def address(other: int) -> str | None:
        if not 1 <= other <= total:
            return None
        query: dict[str, Any] = {name: request.query.getlist(name) for name, _ in rest}
        return addresses.with_query("", query | {"at": others, "moved": key, "place": other})

    kept = [*rest, *(("at", text) for text in others), ("moved", key)]
    value = within(row, key)
    return Stepper(key, value, history.step(row), place, total, address(place - 1), address(place + 1), kept)
