"""The files of a project that a stage reads, seen by an audit hook while it works.

Seen is what Python opens in the stage's own process. What a library opens in C (h5py, OpenCV) or a child process opens
is not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

NOT_OF_THE_PROJECT = {"site-packages", "dist-packages", "__pycache__"}
FILE_CLOCK_LAG = 0.02  # s: the kernel stamps a file with the time of its last tick, up to 10 ms ago, and counts a
# process's start in such ticks


class OpenedFiles:
    """Within the block, what is opened beneath `root`, save in the folders `known`, each by its path in the project."""

    def __init__(self, root: Path, known: Iterable[str], since: float) -> None:
        self._root = f"{root}{os.sep}"
        known = (*(f"{root / folder}{os.sep}" for folder in known), *_of_this_python(self._root))
        self._known = known
        self._since = since
        self._read: set[str] = set()
        self._written: set[str] = set()
        self._watching = False

    def __enter__(self) -> OpenedFiles:
        self._watching = True
        sys.addaudithook(self._hear)  # for good: Python takes none back
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._watching = False

    def inputs(self) -> list[str]:
        """The files that were read and the modules that are loaded; not what was written since the stage began."""
        read = {os.path.normpath(path) for path in {*self._read, *_loaded_files()} - self._written}
        return sorted(path[len(self._root) :] for path in read if self._is_input(path))

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called for each event in the process, many thousands a second: only `open` is looked at."""
        if event != "open" or not self._watching:
            return
        try:
            path, mode, flags = arguments
            if not path.startswith(os.sep):
                path = os.path.join(os.getcwd(), path)
            if path.startswith(self._root) and not path.startswith(self._known):
                (self._read if _reads(mode, flags) else self._written).add(path)
        except Exception:  # a descriptor, bytes, a folder that is gone: what the stage opens is never refused
            pass

    def _is_input(self, path: str) -> bool:
        if not path.startswith(self._root) or path.startswith(self._known):
            return False
        *folders, _ = path[len(self._root) :].split(os.sep)
        if any(folder.startswith(".") or folder in NOT_OF_THE_PROJECT for folder in folders):
            return False
        try:
            return os.path.isfile(path) and os.stat(path).st_mtime < self._since - FILE_CLOCK_LAG
        except OSError:
            return False


def _reads(mode: str | None, flags: int) -> bool:
    """Whether a file is opened to read what it holds: by the mode of `open`, or by the flags of `os.open`."""
    return "r" in mode if mode else not flags & (os.O_WRONLY | os.O_TRUNC | os.O_APPEND)


def _loaded_files() -> Iterator[str]:
    """Where the modules of this process come from; looked up so that none that waits for its first use is loaded."""
    for module in list(sys.modules.values()):
        if issubclass(type(module), type(sys)):  # cffi has objects there whose __class__ says so, and that are none
            file = object.__getattribute__(module, "__dict__").get("__file__")
            if isinstance(file, str):
                yield file


def _of_this_python(root: str) -> Iterator[str]:
    """The folders of the environment, where it lies in the project, and of what W&B's SDK writes."""
    places = {sys.prefix, sys.base_prefix, f"{root}wandb"}
    return (f"{place}{os.sep}" for place in places if place.startswith(root))
