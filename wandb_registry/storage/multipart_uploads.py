"""Multipart uploads, as S3 has them: the parts of a large content arrive in any order, several at once.

A part is appended to the whole as soon as all parts before it are, and the md5 of the whole goes on meanwhile. So no
content is held in memory or read a second time, and it is in the store when its last part is acknowledged. An upload
that is unfinished when the server ends is lost; no acknowledgement says otherwise.
"""

import secrets
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from wandb_registry.errors import NotFound
from wandb_registry.storage.blobs import Blobs, BlobWriter

EXPIRY_SECONDS = 3600.0  # without a part
CHUNK = 2**20


@dataclass(frozen=True)
class ExpectedContent:
    """What a client announced: the version it is for, the md5 of the whole, and the number of parts."""

    artifact_id: int
    md5: str
    part_count: int


class MultipartUpload:
    """One upload: the whole so far, and the parts that arrived before their turn."""

    def __init__(self, blobs: Blobs, expected: ExpectedContent):
        self._blobs = blobs
        self._files = ExitStack()
        self._whole: BlobWriter | None = None
        self._lock = threading.Lock()
        self._early_parts: dict[int, Path] = {}
        self._next, self._is_appending = 1, False
        self.expected = expected
        self.last_part_at = time.monotonic()

    def add(self, number: int, part: Path) -> int | None:
        """Takes over a part. Returns the size of the whole to the one caller that completes it, None to all others.

        Raises BadInput if the whole hasn't the expected md5.
        """
        self.last_part_at = time.monotonic()
        with self._lock:
            if number < self._next or number in self._early_parts:  # sent again by a client that missed the answer
                part.unlink()
                return None
            self._early_parts[number] = part
            if self._is_appending:  # the thread that appends now goes on with this part
                return None
            self._is_appending = True
        while (following := self._next_part()) is not None:
            self._append(following)
        if self._whole is None or self._next <= self.expected.part_count:
            return None
        try:
            self._whole.commit("the upload in parts", self.expected.md5)
        finally:
            self.discard()
        return self._whole.size

    def discard(self) -> None:
        """Removes the temporary files."""
        self._files.close()
        for part in self._early_parts.values():
            part.unlink(missing_ok=True)

    def _next_part(self) -> Path | None:
        with self._lock:
            part = self._early_parts.pop(self._next, None)
            if part is None:
                self._is_appending = False
            else:
                self._next += 1
            return part

    def _append(self, part: Path) -> None:
        if self._whole is None:
            self._whole = self._files.enter_context(self._blobs.writer())
        try:
            with part.open("rb") as file:
                while chunk := file.read(CHUNK):
                    self._whole.write(chunk)
        finally:
            part.unlink()


class MultipartUploads:
    """The multipart uploads of one store, by ids that nobody can guess."""

    def __init__(self, blobs: Blobs):
        self._blobs = blobs
        self._uploads: dict[str, MultipartUpload] = {}
        self._lock = threading.Lock()

    def begin(self, expected: ExpectedContent) -> str:
        """Starts an upload, and discards those that have expired."""
        with self._lock:
            now = time.monotonic()
            for id, upload in [*self._uploads.items()]:
                if now - upload.last_part_at > EXPIRY_SECONDS:
                    self._uploads.pop(id).discard()
            id = secrets.token_hex(16)
            self._uploads[id] = MultipartUpload(self._blobs, expected)
            return id

    def find(self, id: str) -> MultipartUpload:
        """Raises NotFound for one that is complete, has expired, or was cut off by a restart."""
        try:
            return self._uploads[id]
        except KeyError:
            raise NotFound("This upload in parts is not known any more. Upload the file again.") from None

    def end(self, id: str) -> None:
        """Forgets an upload that is complete or has failed, and discards what is left of it."""
        with self._lock:
            upload = self._uploads.pop(id, None)
        if upload:
            upload.discard()
