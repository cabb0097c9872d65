"""Caches the contents of past commits' locks: a commit never changes, and DVC needs some 20 ms to read one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import shutil
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from dvc_wandb.project.git import partial_clone
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import tmp_folder

LockedContents = tuple[list[Execution], list[Content]]  # executions, and contents added with `dvc add`


class LockCache:
    """One file per commit in `.dvc/tmp`. A commit whose file can't be written is read again."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def prepare(self, commits: Iterable[str]) -> None:
        """Fetch at once what a partial clone lacks of the `commits` that are to be read. Raises ProjectError."""
        unread = [commit for commit in commits if not (self._folder / commit).exists()]
        partial_clone.complete(self._pipeline.root, unread)

    def read(self, commit: str) -> LockedContents:
        """The contents of the locks of `commit`. Raises ProjectError if DVC can't read it."""
        try:
            return pickle.loads((self._folder / commit).read_bytes())
        except Exception:  # missing, or cut short by a full disk: pickle then raises anything
            pipeline = self._pipeline.at(commit)
            contents = pipeline.locked(), pipeline.added()
        with contextlib.suppress(OSError):
            temporary = self._folder / f"{commit}.{os.getpid()}"
            temporary.write_bytes(pickle.dumps(contents))
            temporary.replace(self._folder / commit)
        return contents

    @cached_property
    def _folder(self) -> Path:
        """The folder for this version of the code and of DVC. Removes those of others."""
        folder = tmp_folder(self._pipeline.root) / "dvc-wandb-locks" / _reader_id(self._pipeline.root)
        with contextlib.suppress(OSError):
            for other in set(folder.parent.glob("*")) - {folder}:
                shutil.rmtree(other, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
        return folder


def _reader_id(root: Path) -> str:
    """A digest of what the contents depend on besides the commit: our code, DVC's version, the project's path."""
    from dvc import __version__

    code = (file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.md5(b"".join([*code, __version__.encode(), os.fsencode(root)])).hexdigest()[:16]
