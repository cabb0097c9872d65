"""What a resolver finds in `info.context`: who asks, the records as of one moment, and the store."""

from dataclasses import dataclass

from registry.db.connect import Connection
from registry.model.access import Who
from registry.store import Store


@dataclass(frozen=True)
class Context:
    who: Who
    db: Connection  # in a mutation: the one transaction that it is
    store: Store
    base_url: str  # as the client addressed us, so that it can reach the addresses we give out

    def address(self, verb: str, path: str, seconds: int) -> str:
        """An absolute address that carries the permission for one HTTP method on one path."""
        return self.base_url + self.store.signer.address(verb, path, seconds)
