"""File contents by md5: `blobs/ab/cdef…`, as DVC lays out its cache.

A file appears under its md5 only when all its bytes are there, checked and on disk, and is never written again.
"""

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from wandb_registry.errors import BadInput
from wandb_registry.storage.fsync import fsync_all

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


class Blobs:
    """The contents of one store."""

    def __init__(self, folder: Path):
        self.folder = folder / "blobs"
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

    def path(self, md5: str) -> Path:
        """Where the content lies, or would."""
        if not MD5.fullmatch(md5):
            raise BadInput(f"'{md5}' is not an md5.")
        return self.folder / md5[:2] / md5[2:]

    def size_of(self, md5: str) -> int | None:
        """How many bytes of the content are here; None if it isn't."""
        try:
            return self.path(md5).stat().st_size
        except FileNotFoundError:
            return None

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
        self._blobs, self._file, self._path = blobs, file, path
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
        return self._path.rename(self._path.with_suffix(".part"))

    def commit(self, name: str, expected: str | None = None) -> str:
        """Puts the content under its md5, on disk, and returns the md5."""
        md5 = self._md5.hexdigest()
        check_md5(name, md5, expected)
        self._file.flush()
        target = self._blobs.path(md5)
        if not self._blobs.has_undamaged(md5, self.size):
            os.fchmod(self._file.fileno(), 0o444)
            os.fsync(self._file.fileno())
            target.parent.mkdir(exist_ok=True)
            self._path.replace(target)
            self._blobs.remember(md5)
        fsync_all([target.parent, self._blobs.folder], self._blobs.folder)
        return md5


def _write(path: Path, body: bytes) -> Path:
    with path.open("xb") as file:
        file.write(body)
        os.fchmod(file.fileno(), 0o444)
    return path
