"""Copies of a bucket's contents on this machine, for pages that read them: pictures, tables, texts."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

MOST_BYTES = 2 * 2**30
FILLS = 64  # copies, after which it is looked whether all of them are too large


class LocalCache:
    """The files below a folder that were read last. Losing one costs a download."""

    def __init__(self, folder: Path, incoming: Path):
        self._folder, self._incoming = folder, incoming
        self._fills = 0

    def has(self, path: Path) -> bool:
        """Whether the copy is here; if so, it counts as read now."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def fill(self, path: Path, md5: str, chunks: Iterator[bytes]) -> None:
        """Makes a copy. Raises FileNotFoundError where the bytes haven't the md5: then there is no such content."""
        self._fills += 1
        if self._fills % FILLS == 0:  # before, so that what comes now stays however large it is
            self._prune()
        temporary, digest = self._incoming / secrets.token_hex(16), hashlib.md5(usedforsecurity=False)
        try:
            with temporary.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    digest.update(chunk)
            if digest.hexdigest() != md5:
                raise FileNotFoundError(f"{path}: the bucket's content has another md5.")
            path.parent.mkdir(exist_ok=True)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _prune(self) -> None:
        """Removes what was not read for longest, above MOST_BYTES."""
        found = [(path.stat().st_mtime, path.stat().st_size, path) for path in self._folder.glob("*/*")]
        total = 0
        for _, size, path in sorted(found, reverse=True):
            total += size
            if total > MOST_BYTES:
                path.unlink(missing_ok=True)
