"""What resolvers get as `info.context`: the viewer, a database connection in one transaction, and the store."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import RegistryError
from wandb_registry.graphql.engine.content_check import ContentCheck
from wandb_registry.model import access
from wandb_registry.model.access import Viewer
from wandb_registry.store import Store


@dataclass(frozen=True)
class Context:
    viewer: Viewer
    db: Connection  # in a mutation, in a write transaction
    store: Store
    base_url: str  # by which the client reached us, and so can reach the addresses that we give out
    changes: bool  # whether it is a mutation, after which a value that was read before may be outdated
    contents: ContentCheck
    may_start_over: bool = False  # whether a run that is announced without an id starts over: see model/runs/starts.py
    owners: list[tuple[int, str]] = field(default_factory=list)  # runs to tell of a refusal, and what is lost by it
    left_out: list[RegistryError] = field(default_factory=list)  # what was refused of a change that was made otherwise
    _read: dict[tuple[Callable, int], Any] = field(default_factory=dict)

    def address(self, verb: str, path: str, seconds: int) -> str:
        """An absolute address that carries the permission for one HTTP method on one path."""
        return self.base_url + self.store.signer.address(verb, path, seconds)

    def once(self, read: Callable[[Connection, int], Any], number: int) -> Any:
        """What `read` returns for an id. A query reads it once, since rows of a listing share values."""
        if self.changes:
            return read(self.db, number)
        key = (read, number)
        if key not in self._read:
            self._read[key] = read(self.db, number)
        return self._read[key]

    def may_read(self, project_id: int) -> bool:
        """Whether the viewer may read a project. A link to a version doesn't open the project of that version."""
        key = (access.readable, project_id)
        if self.changes or key not in self._read:
            self._read[key] = access.readable(self.db, self.viewer, project_id)
        return self._read[key]
