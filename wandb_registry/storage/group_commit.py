"""Group commit of uploads: many are made durable together, and none is acknowledged before it is on disk.

An upload that arrives while a batch is written waits for the next batch, which takes all that wait. So 128 parallel
uploads of small files cost two syncs and one transaction, not 128 of each.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from wandb_registry.db.connection import Connection, Database
from wandb_registry.errors import NotFound
from wandb_registry.storage.blobs import Blobs

WriteRecord = Callable[[Connection], None]
LARGEST_BATCH = 512  # uploads


@dataclass(frozen=True)
class PendingUpload:
    """A content whose md5 was checked, and the record that says whose it is. No body: it is on disk already."""

    md5: str
    body: bytes | None
    write_record: WriteRecord
    committed: asyncio.Future[None]


class UploadCommitter:
    """Commits the uploads of one store in batches, one batch at a time."""

    def __init__(self, db: Database, blobs: Blobs):
        self.db, self.blobs = db, blobs
        self._pending: list[PendingUpload] = []
        self._task: asyncio.Task[None] | None = None

    async def commit(self, md5: str, body: bytes | None, write_record: WriteRecord) -> None:
        """Returns when the content and its record are on disk; raises if they won't be."""
        upload = PendingUpload(md5, body, write_record, asyncio.get_running_loop().create_future())
        self._pending.append(upload)
        if self._task is None:
            self._task = asyncio.create_task(self._commit_pending())
        await upload.committed

    async def _commit_pending(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[:LARGEST_BATCH], self._pending[LARGEST_BATCH:]
                for upload, error in zip(batch, await run_in_threadpool(self._commit_batch, batch), strict=True):
                    if upload.committed.done():  # its client hung up
                        continue
                    if error is None:
                        upload.committed.set_result(None)
                    else:
                        upload.committed.set_exception(error)
        finally:
            self._task = None

    def _commit_batch(self, batch: list[PendingUpload]) -> list[Exception | None]:
        """The error of each upload, or None for one that is on disk."""
        try:
            self.blobs.put_all({upload.md5: upload.body for upload in batch if upload.body is not None})
            with self.db.write() as db:
                return [self._write_record(db, upload) for upload in batch]
        except Exception as error:
            return [error] * len(batch)

    def _write_record(self, db: Connection, upload: PendingUpload) -> Exception | None:
        """A record that can't be written, such as that of a deleted run, doesn't undo the others."""
        db.execute("savepoint upload")
        try:
            if not self.blobs.still_there(db, upload.md5):  # `gc` ran between the two, and took it away
                raise NotFound("The upload was taken away before it was recorded. Upload it again.")
            upload.write_record(db)
            return None
        except Exception as error:
            db.execute("rollback to upload")
            return error
        finally:
            db.execute("release upload")
