"""Lists that are too long for a page: the rows of one page of several, or the first rows and where all of them are."""

from dataclasses import dataclass

from wandb_registry.web import addresses
from wandb_registry.web.views import PageRequest

AROUND = 2  # page numbers on each side of the current one


@dataclass(frozen=True)
class Pager:
    """One page of a list, numbered from 1."""

    number: int
    size: int
    total: int
    path: str
    query: dict[str, list[str]]
    parameter: str = "page"
    default: int = 1  # the page that an address without the parameter means; 0 for none

    @property
    def shown(self) -> int:
        return self.last - self.offset

    @property
    def all(self) -> str:
        """The first of all pages, from a place that shows the first rows alone."""
        return f"{self.address(1)}#{self.parameter}"

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    @property
    def first(self) -> int:
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        return min(self.offset + self.size, self.total)

    @property
    def page_count(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def previous(self) -> str | None:
        return self.address(self.number - 1) if self.number > 1 else None

    @property
    def next(self) -> str | None:
        return self.address(self.number + 1) if self.number < self.page_count else None

    @property
    def links(self) -> list[tuple[int, str | None]]:
        """(number, address) of the first page, the last, and those around the current one. A gap is (0, None)."""
        around = range(self.number - AROUND, self.number + AROUND + 1)
        shown = sorted({1, self.page_count, *(number for number in around if 1 <= number <= self.page_count)})
        links: list[tuple[int, str | None]] = []
        for number in shown:
            if links and number - links[-1][0] > 1:
                links.append((0, None))
            links.append((number, self.address(number)))
        return links

    def path_with(self, **changed: str) -> str:
        """The first page, with other parameters."""
        return addresses.with_query(self.path, self.query | changed)

    def address(self, number: int) -> str:
        return addresses.with_query(
            self.path, {**self.query, self.parameter: number if number != self.default else None}
        )


@dataclass(frozen=True)
class Beginning:
    """How many rows of a list a page shows, how many the list has, and the address where all are."""

    shown: int
    total: int
    all: str


def beginning(request: PageRequest, name: str, total: int, most: int, path: str = "") -> Beginning:
    """The first `most` rows of a list, or all of them if the address asks for all of this name.

    `name` is the id of the list's place in the page; `path` that page, if it isn't the one that was asked for.
    """
    asked = request.query.getlist("all")
    query = {key: request.query.getlist(key) for key in request.query} if not path else {}
    whole = addresses.with_query(path or request.address.partition("?")[0], query | {"all": [*asked, name]})
    return Beginning(total if name in asked else min(most, total), total, f"{whole}#{name}")


def paged_or_first(request: PageRequest, name: str, total: int, most: int, size: int) -> Pager:
    """The first `most` rows; in an address that names a page of this list, that page with `size` rows.

    `name` is the id of the list's place in the page.
    """
    return paginate(request, total, size if name in request.query else most, name, default=0)


def paginate(request: PageRequest, total: int, size: int, parameter: str = "page", default: int = 1) -> Pager:
    """The page that the address names. A number that is too large means the last page."""
    text = request.query.get(parameter, "1")
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    last = max(1, -(-total // size))
    query = {key: request.query.getlist(key) for key in request.query if key != parameter}
    path = request.address.partition("?")[0]
    return Pager(max(1, min(wanted, last)), size, total, path, query, parameter, default)
