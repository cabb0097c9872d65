"""Whether contents still have all their bytes right: a mutation may ask it, but must not read them in its transaction.

Where it asks for contents that nobody has read since the server started, it is undone. They are read while others may
write, and it runs again.
"""

from dataclasses import dataclass, field

from wandb_registry.storage.blobs import Blobs


class Unread(Exception):
    """Ends the transaction of a mutation whose answer depends on contents that must be read first."""


@dataclass
class ContentCheck:
    """What is known of the contents that one mutation asks for."""

    blobs: Blobs
    _unread: dict[str, int] = field(default_factory=dict)  # sizes by md5
    _found: dict[str, bool] = field(default_factory=dict)

    def is_undamaged(self, md5: str, size: int) -> bool:
        """Whether the store has the content as it was. Where that isn't known, yes for now: see `raise_if_unread`."""
        known = self._found.get(md5)
        if known is None:
            known = self.blobs.known(md5, size)
        if known is None:
            self._unread[md5] = size
            return True
        return known

    def raise_if_unread(self) -> None:
        """Raises Unread if an answer was only for now."""
        if self._unread:
            raise Unread

    def read(self) -> None:
        """Reads what was asked for and isn't known."""
        while self._unread:
            md5, size = self._unread.popitem()
            self._found[md5] = self.blobs.has_undamaged(md5, size)
