"""Copies what a stage prints, for the run's logs."""

from __future__ import annotations

import shlex
import sys
from types import TracebackType
from typing import Any, TextIO

LIMIT = 2**20  # characters; of the rest the copy says how many they were


class ConsoleCopy:
    """Within the block, collects in `text` what Python code of `stage` writes to stdout and stderr."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._parts: list[str] = []
        self._remaining = LIMIT
        self._dropped = 0

    @property
    def text(self) -> str:
        """What was written; its end says how much is left out, and how to keep it."""
        copied = "".join(self._parts)
        if not self._dropped:
            return copied
        again = f"dvc repro --single-item --force {shlex.quote(self._stage)} 2>&1 | tee FILE"
        return f"{copied}\n… and {self._dropped:,} more characters; `{again}` runs it again and keeps them all.\n"

    def __enter__(self) -> ConsoleCopy:
        self._streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (_Tee(stream, self._append) for stream in self._streams)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        sys.stdout, sys.stderr = self._streams

    def _append(self, text: str) -> None:
        self._parts.append(text[: self._remaining])
        self._remaining -= len(self._parts[-1])
        self._dropped += len(text) - len(self._parts[-1])


class _Tee:
    """A text stream that also passes what is written to `append`."""

    def __init__(self, stream: TextIO, append: Any) -> None:
        self._stream, self._append = stream, append

    def write(self, text: str) -> int:
        self._append(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
