"""Where uploads end: many at a time are made durable together, and none is acknowledged before it is on disk.

An upload that finds the disk busy waits for the next turn; a turn takes everybody who waits. So 128 parallel uploads
of small files cost two syncs and one transaction, not 128 of each.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from wandb_registry.db.connection import Connection, Database
from wandb_registry.errors import NotFound
from wandb_registry.storage.blobs import Blobs

Record = Callable[[Connection], None]
MOST = 512  # uploads a turn


@dataclass(frozen=True)
class Arrival:
    """A content whose digest was checked, and the record that says whose it is. No body: it is on disk already."""

    md5: str
    body: bytes | None
    record: Record
    done: asyncio.Future[None]


class Intake:
    """Takes contents in, for one store."""

    def __init__(self, db: Database, blobs: Blobs):
        self.db, self.blobs = db, blobs
        self._waiting: list[Arrival] = []
        self._turns: asyncio.Task[None] | None = None

    async def take(self, md5: str, body: bytes | None, record: Record) -> None:
        """Returns when the content and its record are on disk; raises if they won't be."""
        arrival = Arrival(md5, body, record, asyncio.get_running_loop().create_future())
        self._waiting.append(arrival)
        if self._turns is None:
            self._turns = asyncio.create_task(self._take_turns())
        await arrival.done

    async def _take_turns(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                for arrival, error in zip(batch, await run_in_threadpool(self._settle, batch), strict=True):
                    if arrival.done.done():  # whoever sent it hung up
                        continue
                    if error is None:
                        arrival.done.set_result(None)
                    else:
                        arrival.done.set_exception(error)
        finally:
            self._turns = None

    def _settle(self, batch: list[Arrival]) -> list[Exception | None]:
        try:
            self.blobs.keep_all({arrival.md5: arrival.body for arrival in batch if arrival.body is not None})
            with self.db.write() as db:
                return [self._record(db, arrival) for arrival in batch]
        except Exception as error:
            return [error] * len(batch)

    def _record(self, db: Connection, arrival: Arrival) -> Exception | None:
        """One record that can't be made, such as that of a run which is gone, doesn't undo the others."""
        db.execute("savepoint arrival")
        try:
            if self.blobs.size_of(arrival.md5) is None:  # taken away by `gc` since: it works while nobody writes
                raise NotFound("The upload was taken away before it was recorded. Upload it again.")
            arrival.record(db)
            return None
        except Exception as error:
            db.execute("rollback to arrival")
            return error
        finally:
            db.execute("release arrival")
