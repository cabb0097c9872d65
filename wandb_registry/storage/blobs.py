"""File contents by md5: `blobs/ab/cdef…`, as DVC lays out its cache.

A file appears under its md5 only when all its bytes are there, checked and on disk, and is never written again.
"""

import base64
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_registry.errors import BadInput, RegistryError
from wandb_registry.storage.fsync import fsync, fsync_all

if TYPE_CHECKING:  # a client that shares its cache with a store needs no database
    from wandb_registry.db.connection import Connection

MD5 = re.compile(r"[0-9a-f]{32}")
MOST_CHECKED = 100_000  # contents of which is known that they were right, so that they aren't read again


def to_hex(digest: str) -> str:
    """The md5 of a base64 digest, in hex; refuses anything else."""
    try:
        md5 = base64.b64decode(digest, validate=True).hex()
    except ValueError:
        md5 = ""
    if not MD5.fullmatch(md5):
        raise BadInput(f"'{digest}' is not a base64 md5.")
    return md5


def to_base64(md5: str) -> str:
    """The digest that the SDK uses for a hex md5."""
    return base64.b64encode(bytes.fromhex(md5)).decode()


def md5_of(file: BufferedReader) -> str:
    """The md5, in hex, of what a file holds from where it stands."""
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check_md5(name: str, md5: str, expected: str | None) -> None:
    """Refuses an upload whose md5 isn't the expected one."""
    if expected is not None and md5 != expected:
        raise BadInput(
            f"{name}: the upload has md5 {md5}, the manifest says {expected}. Nothing was stored; upload it again."
        )


@dataclass(frozen=True)
class Content:
    """A content as it lies in the store: its md5, its bytes, and when it was last put there or asked for."""

    md5: str
    size: int
    modified: float  # seconds since 1970


class Blobs:
    """The contents of one store, in its folder. `bucket.py` has the other engine, with the same methods."""

    def __init__(self, folder: Path, name: str = "blobs"):
        self.folder = folder / name
        self.incoming = folder / "incoming"
        self.folder.mkdir(exist_ok=True)
        self.incoming.mkdir(exist_ok=True)
        self._checked: dict[str, tuple[int, ...]] = {}  # by md5: the state of a file whose bytes were right

    def clear_incoming(self) -> None:
        """Removes what a crash left of uploads. Only the server may: in another process this would cut off uploads."""
        for leftover in self.incoming.iterdir():
            leftover.unlink()

    def check_reachable(self) -> None:
        """Raises OSError where the disk doesn't give its folders."""
        for folder in (self.folder, self.incoming):
            with os.scandir(folder) as entries:
                next(entries, None)

    def local(self, md5: str) -> Path:
        """A file with the content, to be read. Opening it raises FileNotFoundError where there is none."""
        return self.path(md5)

    def path(self, md5: str) -> Path:
        """Where the content lies in the folder, or would."""
        if not MD5.fullmatch(md5):
            raise BadInput(f"'{md5}' is not an md5.")
        return self.folder / md5[:2] / md5[2:]

    def size_of(self, md5: str) -> int | None:
        """How many bytes of the content are here; None if it isn't."""
        try:
            return self.path(md5).stat().st_size
        except FileNotFoundError:
            return None

    def still_there(self, _db: "Connection", md5: str) -> bool:
        """Whether `gc` has left the content alone: asked in the transaction that is to refer to it."""
        return self.size_of(md5) is not None

    def put_all(self, contents: dict[str, bytes]) -> None:
        """Stores small contents under their md5s, which the caller has checked. All are on disk when this returns."""
        if not contents:
            return
        new = {md5: body for md5, body in contents.items() if not self.has_undamaged(md5, len(body))}
        temporary = {md5: self.incoming / secrets.token_hex(16) for md5 in new}
        folders = {self.path(md5).parent for md5 in contents}
        try:
            files = [_write(temporary[md5], body) for md5, body in new.items()]
            fsync_all(files, self.incoming)
            for folder in folders:
                folder.mkdir(exist_ok=True)
            for md5, file in temporary.items():
                file.replace(self.path(md5))
                self.remember(md5)
            # also for what was here: the upload that brought it may not have come so far
            fsync_all({self.folder, *folders}, self.folder)
        finally:
            for file in temporary.values():
                file.unlink(missing_ok=True)

    def touch(self, md5: str, size: int) -> bool:
        """Whether the content is here at full length. If so, its mtime becomes now, so that `gc` spares it."""
        if self.size_of(md5) != size:
            return False
        unchanged = self._is_checked(md5)
        try:
            os.utime(self.path(md5))
        except FileNotFoundError:  # `gc` took it away just now
            return False
        if unchanged:
            self._checked[md5] = self._state(md5)
        return True

    def known(self, md5: str, size: int) -> bool | None:
        """`has_undamaged` as far as that is known without reading the content; else None."""
        if not self.touch(md5, size):
            return False
        return self._is_checked(md5) or None

    def is_there(self, md5: str, size: int) -> bool | None:
        """Whether the content is here at full length; None for not known yet: then `undamaged` tells."""
        return self.size_of(md5) == size

    def undamaged(self, sizes: dict[str, int]) -> dict[str, bool]:
        """`has_undamaged` of several contents, given by md5 with their sizes."""
        return {md5: self.has_undamaged(md5, size) for md5, size in sizes.items()}

    def has_undamaged(self, md5: str, size: int) -> bool:
        """Whether the content is here with all its bytes right, read again only after a change. If not, an upload
        replaces it.
        """
        if (known := self.known(md5, size)) is not None:
            return known
        with self.path(md5).open("rb") as file:
            right = md5_of(file) == md5
        if right:
            self.remember(md5)
        return right

    def remember(self, md5: str) -> None:
        """Notes that the content's bytes are right as they are now, so that nobody reads them again for that."""
        if len(self._checked) >= MOST_CHECKED:
            self._checked.clear()
        self._checked[md5] = self._state(md5)

    def take(self, writer: "BlobWriter", md5: str) -> None:
        """Puts what was written under its md5, on disk."""
        target = self.path(md5)
        if not self.has_undamaged(md5, writer.size):
            writer.path.chmod(0o444)
            fsync(writer.path)
            target.parent.mkdir(exist_ok=True)
            writer.path.replace(target)
            self.remember(md5)
        fsync_all([target.parent, self.folder], self.folder)

    # ---- maintenance ----

    def listing(self) -> Iterator[Content]:
        """All contents, by their md5s."""
        for folder in sorted(path for path in self.folder.iterdir() if path.is_dir()):
            for path in sorted(folder.iterdir()):
                if MD5.fullmatch(folder.name + path.name) and path.is_file():
                    stat = path.stat()
                    yield Content(folder.name + path.name, stat.st_size, stat.st_mtime)

    def inspect(self, md5s: list[str]) -> Iterator[tuple[str, Content | OSError]]:
        """Each content with the md5 that its bytes have, which are read; or why they can't be."""
        for md5 in md5s:
            try:
                with self.path(md5).open("rb") as file:
                    actual, stat = md5_of(file), os.fstat(file.fileno())
                yield md5, Content(actual, stat.st_size, stat.st_mtime)
            except OSError as error:
                yield md5, error

    def remove(self, _db: "Connection", md5s: list[str], before: float) -> tuple[dict[str, int], RegistryError | None]:
        """Removes contents, but for those that were put there or asked for since `before`.

        Answers the bytes of those that are gone, by md5, which holds whatever else went wrong.
        """
        gone = {}
        for md5 in md5s:
            stat = self.path(md5).stat()
            if stat.st_mtime <= before:
                self.path(md5).unlink()
                gone[md5] = stat.st_size
        return gone, None

    def clear_abandoned(self, seconds: float) -> None:
        """Removes what is left of uploads that began before so many seconds and were not finished."""
        for leftover in self.incoming.iterdir():
            if time.time() - leftover.stat().st_mtime > seconds:
                leftover.unlink(missing_ok=True)

    def _is_checked(self, md5: str) -> bool:
        return md5 in self._checked and self._checked[md5] == self._state(md5)

    def _state(self, md5: str) -> tuple[int, ...]:
        """What changes with any change to a content's file, also one that sets back its time."""
        try:
            stat = self.path(md5).stat()
        except FileNotFoundError:
            return ()
        return stat.st_ino, stat.st_size, stat.st_ctime_ns

    @contextmanager
    def writer(self) -> Iterator["BlobWriter"]:
        """Writes one content. Without a `commit`, nothing of it is left when the block ends."""
        temporary = self.incoming / secrets.token_hex(16)
        with temporary.open("xb") as file:
            try:
                yield BlobWriter(self, file, temporary)
            finally:
                temporary.unlink(missing_ok=True)


class BlobWriter:
    """A content that arrives in chunks: a temporary file until `commit` puts it under its md5."""

    def __init__(self, blobs: Blobs, file, path: Path):
        self.path = path
        self._blobs, self._file = blobs, file
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def write(self, chunk: bytes | bytearray) -> None:
        self._file.write(chunk)
        self._md5.update(chunk)
        self.size += len(chunk)

    def keep_part(self, name: str, expected: str) -> Path:
        """Keeps the file as one part of a multipart upload, which removes it later."""
        check_md5(name, self._md5.hexdigest(), expected)
        self._file.flush()
        return self.path.rename(self.path.with_suffix(".part"))

    def commit(self, name: str, expected: str | None = None) -> str:
        """Puts the content under its md5, on disk, and returns the md5."""
        md5 = self._md5.hexdigest()
        check_md5(name, md5, expected)
        self._file.flush()
        self._blobs.take(self, md5)
        return md5


def _write(path: Path, body: bytes) -> Path:
    with path.open("xb") as file:
        file.write(body)
        os.fchmod(file.fileno(), 0o444)
    return path
