"""A folder by which head and node tell each other how a job stands: one that both see, or one in the DVC remote."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc_wandb.errors import one_line
from dvc_wandb.parallel.cluster.engine import ClusterBusyError


@dataclass(frozen=True)
class Exchange:
    """A folder: `path`, in the DVC remote whose settings, as JSON, are `remote`; of this machine if that is empty.

    A file of it is there whole or not at all. All methods raise ClusterBusyError if the remote doesn't answer.
    """

    path: str
    remote: str = ""

    def __truediv__(self, name: str) -> Exchange:
        return Exchange(f"{self.path}/{name}", self.remote)

    def get(self, name: str, offset: int = 0) -> bytes | None:
        """The bytes of a file from an offset on; None if there is no such file."""
        with self._answers():
            try:
                if not offset:
                    return self._files.cat_file(f"{self.path}/{name}")
                size = self._files.info(f"{self.path}/{name}")["size"]  # a store refuses a range beyond the end
                return self._files.cat_file(f"{self.path}/{name}", start=offset) if size > offset else b""
            except FileNotFoundError:
                return None

    def text(self, name: str) -> str | None:
        found = self.get(name)
        return None if found is None else found.decode()

    def put(self, name: str, content: str | bytes) -> None:
        """Write a file, or another one in its place."""
        content = content.encode() if isinstance(content, str) else content
        path = f"{self.path}/{name}"
        with self._answers():
            if _is_object_store(self._files):
                self._files.pipe_file(path, content)
            else:  # by a rename: nobody reads a part of it
                self._files.makedirs(self.path, exist_ok=True)
                self._files.pipe_file(f"{path}.new", content)
                self._files.mv(f"{path}.new", path)

    def put_file(self, name: str, source: Path) -> None:
        with self._answers():
            self._files.put_file(str(source), f"{self.path}/{name}")

    def get_file(self, name: str, target: Path) -> None:
        with self._answers():
            self._files.get_file(f"{self.path}/{name}", str(target))

    def names(self) -> list[str]:
        """The files and folders in it."""
        with self._answers():
            with contextlib.suppress(FileNotFoundError):
                self._files.fs.invalidate_cache()
                found = self._files.find(self.path)
                return sorted({os.path.relpath(path, self.path).partition("/")[0] for path in found})
            return []

    def remove(self, *names: str) -> None:
        """Remove files, or all of it."""
        with self._answers():
            for path in [f"{self.path}/{name}" for name in names] or [self.path]:
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm(path, recursive=not names)

    @property
    def _files(self) -> Any:
        return _file_system(self.remote, os.getpid())

    @contextlib.contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each store has its own errors
            if not self.remote:
                raise
            raise ClusterBusyError(f"the DVC remote at {self.path} doesn't answer: {one_line(error)}") from None


def _is_object_store(files: Any) -> bool:
    from dvc_objects.fs.base import ObjectFileSystem

    return isinstance(files, ObjectFileSystem)


@functools.lru_cache
def _file_system(remote: str, process: int) -> Any:
    """DVC's file system of a remote. A forked process needs one of its own: its connections are a thread's."""
    from dvc.fs import get_cloud_fs

    kind: Any
    kind, settings, _ = get_cloud_fs(None, **json.loads(remote or '{"url": "/"}'))
    return kind(**settings)
