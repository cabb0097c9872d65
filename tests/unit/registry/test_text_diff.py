"""What changed in a text file from version to version, line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wandb_registry.errors import DamagedContent
from wandb_registry.storage.blobs import Blobs
from wandb_registry.web import text_diff


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path)


def entry(blobs: Blobs, body: bytes) -> dict[str, Any]:
    with blobs.writer() as writer:
        writer.write(body)
        md5 = writer.commit("file")
    return {"path": "file", "md5": md5, "size": len(body)}


def between(blobs: Blobs, before: bytes, after: bytes) -> text_diff.TextDiff:
    return text_diff.between(blobs, "file", entry(blobs, before), entry(blobs, after))


def test_lines_are_marked_and_those_far_from_a_change_left_out(blobs: Blobs):
    lines = [str(number) for number in range(20)]
    found = between(blobs, "\n".join(lines).encode(), "\n".join([*lines[:10], "new", *lines[11:]]).encode()).lines
    assert found[0] == ("@", "-8,7 +8,7")
    assert found[1:] == [
        (" ", "7"), (" ", "8"), (" ", "9"), ("-", "10"), ("+", "new"), (" ", "11"), (" ", "12"), (" ", "13")
    ]  # fmt: skip


def test_a_line_that_looks_like_a_mark_keeps_its_text(blobs: Blobs):
    found = between(blobs, b"--- a\n", b"+++ b\n@@ c\n").lines
    assert found[1:] == [("-", "--- a"), ("+", "+++ b"), ("+", "@@ c")]


def test_a_file_that_is_new_or_gone_is_added_or_removed_whole(blobs: Blobs):
    new = entry(blobs, b"a\nb\n")
    assert text_diff.between(blobs, "file", None, new).lines[1:] == [("+", "a"), ("+", "b")]
    assert text_diff.between(blobs, "file", new, None).lines[1:] == [("-", "a"), ("-", "b")]


def test_other_line_ends_alone_are_said(blobs: Blobs):
    found = between(blobs, b"a\r\nb\r\n", b"a\nb\n")
    assert (found.lines, found.why) == ([], "Only line ends differ.")


@pytest.mark.parametrize("body", [b"\0binary", b"x" * (text_diff.LARGEST + 1), b"\n" * (text_diff.LONGEST + 1)])
def test_what_is_no_text_or_too_long_is_not_compared(blobs: Blobs, body: bytes):
    found = between(blobs, b"a\n", body)
    assert found.lines == []
    assert found.why.startswith("Only texts of up to 128 kB and 3,000 lines")


def test_a_content_that_is_gone_from_the_store_is_damage(blobs: Blobs):
    gone = {"path": "file", "md5": "0" * 32, "size": 3}
    with pytest.raises(DamagedContent):
        text_diff.between(blobs, "file", gone, None)
