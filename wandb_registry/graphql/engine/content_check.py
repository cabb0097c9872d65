"""Whether contents still have all their bytes right: a mutation may ask it, but must not read them in its transaction.

Where it asks for contents that nobody has read since the server started, it is undone. They are read while others may
write, and it runs again. So it is with whatever else a mutation asks of a bucket.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wandb_registry.storage.blobs import Blobs


class Unread(Exception):
    """Ends the transaction of a mutation whose answer depends on contents that must be read first."""


@dataclass
class ContentCheck:
    """What is known of the contents that one mutation asks for."""

    blobs: Blobs
    _unread: dict[str, int] = field(default_factory=dict)  # sizes by md5
    _found: dict[str, bool] = field(default_factory=dict)
    _questions: dict[Any, Callable[[], Any]] = field(default_factory=dict)
    _answers: dict[Any, Any] = field(default_factory=dict)
    _later: list[Callable[[], None]] = field(default_factory=list)

    def is_undamaged(self, md5: str, size: int) -> bool:
        """Whether the store has the content as it was. Where that isn't known, yes for now: see `raise_if_unread`."""
        known = self._found.get(md5)
        if known is None:
            known = self.blobs.known(md5, size)
        if known is None:
            self._unread[md5] = size
            return True
        return known

    def is_there(self, md5: str, size: int) -> bool:
        """Whether the store has the content at full length. Where that isn't known, yes for now, as above."""
        known = self._found.get(md5)
        if known is None:
            known = self.blobs.is_there(md5, size)
        if known is None:
            self._unread[md5] = size
            return True
        return known

    def outside(self, name: Any, ask: Callable[[], Any]) -> Any:
        """What `ask` answers outside of the transaction, once a request for each `name`."""
        if name not in self._answers:
            self._questions[name] = ask
            raise Unread
        return self._answers[name]

    def afterwards(self, do: Callable[[], None]) -> None:
        """Does something once the transaction is on disk."""
        self._later.append(do)

    def finish(self) -> None:
        for do in self._later:
            do()

    def raise_if_unread(self) -> None:
        """Raises Unread if an answer was only for now."""
        if self._unread:
            raise Unread

    def read(self) -> None:
        """Reads what was asked for and isn't known."""
        self._later.clear()
        self._found |= self.blobs.undamaged(self._unread)
        self._unread.clear()
        while self._questions:
            name, ask = self._questions.popitem()
            self._answers[name] = ask()
