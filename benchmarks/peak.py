"""The memory that a command takes with all that it starts."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import psutil


class Peak:
    """The highest sum of resident memory of a process and its children, in MB, while the block runs.

    With `store` the registry that serves it counts too, whoever started it.
    """

    def __init__(self, pid: int, store: Path | None = None) -> None:
        self._pid, self._card, self.mb = pid, store / "server.json" if store else None, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            total = 0
            for process in self._processes():
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.mb = max(self.mb, total / 2**20)

    def _processes(self) -> list[psutil.Process]:
        found = []
        for pid in (self._pid, self._server()):
            try:
                process = psutil.Process(pid) if pid else None
                found += [process, *process.children(recursive=True)] if process else []
            except psutil.Error:
                continue
        return found

    def _server(self) -> int | None:
        try:
            return json.loads(self._card.read_text())["pid"] if self._card else None
        except (OSError, ValueError, KeyError):
            return None
