"""An error in a sentence: all that it says, on one line."""

from __future__ import annotations

import pytest

from dvc_wandb.errors import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("failed", "failed"),
        ("failed to read:\n  b.csv\n", "failed to read: b.csv"),
        ("no key\n\nno file\nno name", "no key; no file; no name"),
        ("It failed.\nTry again.", "It failed. Try again."),
        ("", "ValueError"),
    ],
)
def test_no_line_of_an_error_is_lost(text: str, line: str):
    assert one_line(ValueError(text)) == line
