"""What changed in a text file from one version to another, line by line."""

import difflib
from dataclasses import dataclass
from typing import Any

from wandb_registry.errors import DamagedContent
from wandb_registry.storage.blobs import Blobs

Row = dict[str, Any]
TOO_LONG = (
    "Only texts of up to 128 kB and 3,000 lines are compared line by line here. "
    "Download the file of both versions to compare the rest."
)
LARGEST = 128 * 2**10  # bytes of a file whose lines are compared
LONGEST = 3_000  # lines of such a file: the time that a comparison takes grows with their square
MOST = 400  # lines that a page shows before somebody asks for all


@dataclass(frozen=True)
class TextDiff:
    """The lines of a diff as (mark, text); `why` says why there are none.

    Marks are '+' added, '-' removed, ' ' unchanged, '@' lines left out.
    """

    path: str
    lines: list[tuple[str, str]]
    why: str = ""


def between(blobs: Blobs, path: str, before: Row | None, after: Row | None) -> TextDiff:
    """The diff of two entries of one path. A missing entry counts as an empty file. Raises DamagedContent."""
    texts = [_lines(blobs, entry) for entry in (before, after)]
    if texts[0] is None or texts[1] is None:
        return TextDiff(path, [], TOO_LONG)
    diff = list(difflib.unified_diff(texts[0], texts[1], lineterm="", n=3))[2:]  # without the names of the files
    lines = [("@", line.strip("@ ")) if line.startswith("@@") else (line[0], line[1:]) for line in diff]
    return TextDiff(path, lines, "" if lines else "Only line ends differ.")


def _lines(blobs: Blobs, entry: Row | None) -> list[str] | None:
    if entry is None:
        return []
    if entry["md5"] is None or entry["size"] > LARGEST:
        return None
    try:
        body = blobs.local(entry["md5"]).read_bytes()
    except FileNotFoundError:
        raise DamagedContent(entry["path"], entry["md5"]) from None
    lines = body.decode("utf-8", errors="replace").splitlines()
    return None if b"\0" in body or len(lines) > LONGEST else lines
