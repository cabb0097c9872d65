"""Files of a project as a tar: their bytes, and whether they may be executed."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.parallel.cluster.exchange import Exchange


def put(exchange: Exchange, name: str, top: Path, paths: Iterable[str]) -> None:
    """Put the files and folders at `paths`, relative to `top`, into the exchange; links as what they lead to."""
    with tempfile.NamedTemporaryFile(prefix="carried-") as file:
        with tarfile.open(fileobj=file, mode="w", dereference=True) as tar:
            for path in paths:
                tar.add(top / path, arcname=path)
        file.flush()
        exchange.put_file(name, Path(file.name))


def take(exchange: Exchange, name: str, top: Path) -> None:
    """Put the files of an archive into their places below `top`. Raises DvcWandbError for one that leads out of it."""
    with tempfile.TemporaryDirectory(prefix="carried-") as folder:
        exchange.get_file(name, Path(folder, "tar"))
        with tarfile.open(Path(folder, "tar")) as tar:
            for member in tar:  # ourselves: before 3.11.4 tarfile has no filter that would
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                    raise DvcWandbError(f"an archive of the job has {member.name}, which is not a file of the project")
            # As Python's documentation has it for versions with and without filters
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            tar.extractall(top)
