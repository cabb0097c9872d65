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


def check(name: str, md5: str, promised: str | None) -> None:
    """Refuses an upload that isn't what was promised."""
    if promised is not None and md5 != promised:
        raise BadInput(
            f"{name}: the upload has md5 {md5}, the manifest says {promised}. Nothing was stored; upload it again."
        )


class Blobs:
    """The contents of one store."""

    def __init__(self, folder: Path):
        self.folder = folder / "blobs"
        self.incoming = folder / "incoming"
        self.folder.mkdir(exist_ok=True)
        self.incoming.mkdir(exist_ok=True)

    def clear_incoming(self) -> None:
        """Removes what uploads left that a crash cut off. For the server alone: others would cut off uploads."""
        for leftover in self.incoming.iterdir():
            leftover.unlink()

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

    def keep_all(self, contents: dict[str, bytes]) -> None:
        """Puts small contents, whose digests were checked, in their places: all are on disk when this returns."""
        if not contents:
            return
        new = {md5: body for md5, body in contents.items() if not self.is_whole(md5, len(body))}
        asides = {md5: self.incoming / secrets.token_hex(16) for md5 in new}
        folders = {self.path(md5).parent for md5 in contents}
        try:
            files = [_write_aside(asides[md5], body) for md5, body in new.items()]
            fsync_all(files, self.incoming)
            for folder in folders:
                folder.mkdir(exist_ok=True)
            for md5, aside in asides.items():
                aside.replace(self.path(md5))
            # also for what was here: whoever brought it may not have come so far
            fsync_all({self.folder, *folders}, self.folder)
        finally:
            for aside in asides.values():
                aside.unlink(missing_ok=True)

    def touch(self, md5: str, size: int) -> bool:
        """Whether the content is here at full length; if so, its time says that it was wanted just now, which `gc`
        respects.
        """
        if self.size_of(md5) != size:
            return False
        try:
            os.utime(self.path(md5))
        except FileNotFoundError:  # taken away by `gc` just now
            return False
        return True

    def is_whole(self, md5: str, size: int) -> bool:
        """Whether what just came is here already, undamaged: else it takes the place of what is."""
        if not self.touch(md5, size):
            return False
        with self.path(md5).open("rb") as file:
            return md5_of(file) == md5

    @contextmanager
    def receive(self) -> Iterator["Incoming"]:
        """A file to write an upload into; gone when the block ends unless it was kept."""
        temporary = self.incoming / secrets.token_hex(16)
        with temporary.open("xb") as file:
            try:
                yield Incoming(self, file, temporary)
            finally:
                temporary.unlink(missing_ok=True)


class Incoming:
    """An upload on its way: written aside, then kept under its md5 if that is the promised one."""

    def __init__(self, blobs: Blobs, file, path: Path):
        self._blobs, self._file, self._path = blobs, file, path
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def write(self, chunk: bytes | bytearray) -> None:
        self._file.write(chunk)
        self._md5.update(chunk)
        self.size += len(chunk)

    def set_aside(self, name: str, promised: str) -> Path:
        """Leaves the content as a file of its own, for whoever puts the whole together that it is a part of."""
        check(name, self._md5.hexdigest(), promised)
        self._file.flush()
        return self._path.rename(self._path.with_suffix(".part"))

    def keep(self, name: str, promised: str | None = None) -> str:
        """Puts the content in its place and answers its md5."""
        md5 = self._md5.hexdigest()
        check(name, md5, promised)
        self._file.flush()
        target = self._blobs.path(md5)
        if not self._blobs.is_whole(md5, self.size):
            os.fchmod(self._file.fileno(), 0o444)
            os.fsync(self._file.fileno())
            target.parent.mkdir(exist_ok=True)
            self._path.replace(target)
        fsync_all([target.parent, self._blobs.folder], self._blobs.folder)
        return md5


def _write_aside(path: Path, body: bytes) -> Path:
    with path.open("xb") as file:
        file.write(body)
        os.fchmod(file.fileno(), 0o444)
    return path
