"""What the locks of a commit hold, read with DVC once: a commit never changes, and DVC needs some 20 ms to read one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import shutil
from functools import cached_property
from pathlib import Path

from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import tmp_folder

LockedContents = tuple[list[Execution], list[Content]]  # the executions, and what was added by hand


class LockCache:
    """The facts of a project's commits, kept in a file each in `.dvc/tmp`; one that can't be kept is read again."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def read(self, commit: str) -> LockedContents:
        """What the locks of `commit` hold. Raises ProjectError where DVC can't read it."""
        try:
            return pickle.loads((self._folder / commit).read_bytes())
        except Exception:  # not there, or cut short by a full disk: pickle has an error for every byte
            pipeline = self._pipeline.at(commit)
            contents = pipeline.locked(), pipeline.added()
        with contextlib.suppress(OSError):
            temporary = self._folder / f"{commit}.{os.getpid()}"
            temporary.write_bytes(pickle.dumps(contents))
            temporary.replace(self._folder / commit)
        return contents

    @cached_property
    def _folder(self) -> Path:
        """A folder of what this code and this DVC read; what others did is of no use any more."""
        folder = tmp_folder(self._pipeline.root) / "dvc-wandb-locks" / _reader_id(self._pipeline.root)
        with contextlib.suppress(OSError):
            for other in set(folder.parent.glob("*")) - {folder}:
                shutil.rmtree(other, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
        return folder


def _reader_id(root: Path) -> str:
    """Names what the facts depend on beside the commit: the code that reads it, DVC, and where the project lies."""
    from dvc import __version__

    code = (file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.md5(b"".join([*code, __version__.encode(), os.fsencode(root)])).hexdigest()[:16]
