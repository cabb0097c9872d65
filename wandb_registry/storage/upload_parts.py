"""Large contents that arrive in parts, many at once and in any order, put together while they arrive.

A part waits aside until those before it are there; then it is appended, and the md5 of the whole goes on. So a
content is never held in memory or read a second time, and is in its place when its last part is acknowledged.
What is half there when the server ends is gone: the client has no answer that says otherwise.
"""

import secrets
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from wandb_registry.errors import NotFound
from wandb_registry.storage.blobs import Blobs, Incoming

PATIENCE = 3600.0  # seconds without a part after which an upload is given up
CHUNK = 2**20


@dataclass(frozen=True)
class Promise:
    """What was announced: the version it is for, the md5 of the whole, and the number of parts."""

    artifact: int
    md5: str
    count: int


class Upload:
    """One content on its way."""

    def __init__(self, blobs: Blobs, promise: Promise):
        self._blobs = blobs
        self._files = ExitStack()
        self._whole: Incoming | None = None
        self._turn = threading.Lock()
        self._waiting: dict[int, Path] = {}
        self._next, self._busy = 1, False
        self.promise = promise
        self.last = time.monotonic()

    def add(self, number: int, part: Path) -> int | None:
        """Takes a part over; answers the size of the whole to the one caller that completes it.

        Raises BadInput where the whole isn't what was promised.
        """
        self.last = time.monotonic()
        with self._turn:
            if number < self._next or number in self._waiting:  # sent again by a client that missed the answer
                part.unlink()
                return None
            self._waiting[number] = part
            if self._busy:  # who appends now goes on with this one
                return None
            self._busy = True
        while (following := self._take()) is not None:
            self._append(following)
        if self._whole is None or self._next <= self.promise.count:
            return None
        try:
            self._whole.keep("the upload in parts", self.promise.md5)
        finally:
            self.drop()
        return self._whole.size

    def drop(self) -> None:
        """Removes what is not in its place."""
        self._files.close()
        for part in self._waiting.values():
            part.unlink(missing_ok=True)

    def _take(self) -> Path | None:
        with self._turn:
            part = self._waiting.pop(self._next, None)
            if part is None:
                self._busy = False
            else:
                self._next += 1
            return part

    def _append(self, part: Path) -> None:
        if self._whole is None:
            self._whole = self._files.enter_context(self._blobs.receive())
        try:
            with part.open("rb") as file:
                while chunk := file.read(CHUNK):
                    self._whole.write(chunk)
        finally:
            part.unlink()


class Parts:
    """The uploads in parts of one store, by ids that can't be guessed."""

    def __init__(self, blobs: Blobs):
        self._blobs = blobs
        self._uploads: dict[str, Upload] = {}
        self._turn = threading.Lock()

    def begin(self, promise: Promise) -> str:
        with self._turn:
            now = time.monotonic()
            for id, upload in [*self._uploads.items()]:
                if now - upload.last > PATIENCE:
                    self._uploads.pop(id).drop()
            id = secrets.token_hex(16)
            self._uploads[id] = Upload(self._blobs, promise)
            return id

    def find(self, id: str) -> Upload:
        """Raises NotFound for one that was completed, given up, or cut off by a restart."""
        try:
            return self._uploads[id]
        except KeyError:
            raise NotFound("This upload in parts is not known any more. Upload the file again.") from None

    def end(self, id: str) -> None:
        """Forgets an upload that is complete or can't be completed, and what is left of it."""
        with self._turn:
            upload = self._uploads.pop(id, None)
        if upload:
            upload.drop()
