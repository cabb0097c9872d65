"""The digests that a statement names a file or a folder by, as in-toto's `digest_set.md` defines them.

sha256 is what proves; md5 stands beside it since DVC and W&B know the bytes by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

CHUNK = 2**20  # bytes


def of_file(path: Path) -> dict[str, str]:
    """The sha256 and md5 of a file, read once."""
    sha256, md5 = hashlib.sha256(), hashlib.md5()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return {"sha256": sha256.hexdigest(), "md5": md5.hexdigest()}


def of_folder(files: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The `dirHash` of a folder, from the digests of its files by name.

    It is the sha256 of what `sha256sum` prints for the files, sorted by name.
    """
    lines = "".join(f"{digest['sha256']}  {name}\n" for name, digest in sorted(files.items()))
    return {"dirHash": hashlib.sha256(lines.encode()).hexdigest()}
