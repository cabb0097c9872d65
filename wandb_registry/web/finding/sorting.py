"""By what a list of runs is sorted: sort=-summary.loss&sort=name, the first column before the second."""

from dataclasses import dataclass

from wandb_registry.errors import BadInput
from wandb_registry.web import addresses
from wandb_registry.web.finding import conditions
from wandb_registry.web.views import PageRequest, Redirect

NEWEST_FIRST = "-started"
MOST = 5


@dataclass(frozen=True)
class SortKey:
    """A column that the list is sorted by, and the addresses of the list turned around in it, and without it."""

    column: str
    descending: bool
    turned: str
    without: str

    @property
    def order(self) -> str:
        """As the public API writes it."""
        return f"{'-' if self.descending else '+'}{conditions.field(self.column)}"


def entered(request: PageRequest) -> Redirect | None:
    """Leads the column that the menu's form adds, `then` and `way`, to the address that has it behind the others."""
    column = request.query.get("then", "").strip()
    if not column:
        return None
    others = [text for text in request.query.getlist("sort") if text.lstrip("+-") != column]
    return Redirect(_address(request, [*others, f"{'-' if request.query.get('way') == '-' else ''}{column}"]))


def sort_keys(request: PageRequest) -> list[SortKey]:
    """The columns of the address, or the start of the runs. What is no column is left out; the menu tells of MOST."""
    named = {text.lstrip("+-"): text for text in request.query.getlist("sort") if _is_column(text.lstrip("+-"))}
    texts = list(named.values())[:MOST] or [NEWEST_FIRST]
    return [_sort_key(request, texts, at) for at in range(len(texts))]


def _sort_key(request: PageRequest, texts: list[str], at: int) -> SortKey:
    column, descending = texts[at].lstrip("+-"), texts[at].startswith("-")
    before, after = texts[:at], texts[at + 1 :]
    turned = [*before, column if descending else f"-{column}", *after]
    return SortKey(column, descending, _address(request, turned), _address(request, [*before, *after]))


def _is_column(column: str) -> bool:
    try:
        conditions.field(column)
    except BadInput:
        return False
    return True


def _address(request: PageRequest, sort: list[str]) -> str:
    kept = {key: request.query.getlist(key) for key in request.query if key not in ("sort", "then", "way", "page")}
    return addresses.with_query(request.address.partition("?")[0], kept | {"sort": sort})
