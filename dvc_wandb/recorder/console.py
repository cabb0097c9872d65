"""Copies what a stage prints, for the run's logs."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, TextIO

LIMIT = 2**20  # characters; the rest is dropped


class ConsoleCopy:
    """Within the block, collects in `text` what Python code writes to stdout and stderr."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._remaining = LIMIT

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def __enter__(self) -> ConsoleCopy:
        self._streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (_Tee(stream, self._append) for stream in self._streams)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        sys.stdout, sys.stderr = self._streams

    def _append(self, text: str) -> None:
        self._parts.append(text[: self._remaining])
        self._remaining -= len(self._parts[-1])


class _Tee:
    """A text stream that also passes what is written to `append`."""

    def __init__(self, stream: TextIO, append: Any) -> None:
        self._stream, self._append = stream, append

    def write(self, text: str) -> int:
        self._append(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
