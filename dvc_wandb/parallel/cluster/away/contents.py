"""Contents of outputs to the DVC remote and from there: also those that `dvc push` leaves out.

What was imported from another repository stays there, and `push: false` is somebody's wish; a node has them from no
other place.
"""

from __future__ import annotations

from typing import Any


def push(repo: Any, paths: list[str]) -> None:
    """What lies at the absolute `paths`. Raises DvcException."""
    from dvc.exceptions import UploadError

    if paths:
        repo.push(targets=paths)
    if (left_out := _left_out(repo, paths)) and (failed := repo.cloud.push(left_out).failed):
        raise UploadError(len(failed))


def pull(repo: Any, paths: list[str], force: bool = False) -> None:
    """The same, into the workspace; with `force` in place of what is there. Raises DvcException."""
    from dvc.exceptions import DownloadError

    if (left_out := _left_out(repo, paths)) and (failed := repo.cloud.pull(left_out).failed):
        raise DownloadError(len(failed))
    if paths:
        repo.pull(targets=paths, force=force)


def _left_out(repo: Any, paths: list[str]) -> set[Any]:
    """The digests of such outputs."""
    return {
        out.hash_info
        for out in repo.index.outs
        if (out.stage.is_repo_import or not out.can_push) and any(out.fs.overlaps(out.fs_path, path) for path in paths)
    }
