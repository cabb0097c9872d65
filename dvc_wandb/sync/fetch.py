"""The bytes of a model by their md5: from the workspace, DVC's cache, the registry or DVC's remote; never others."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dvc_wandb import content_alias, temporary_folders
from dvc_wandb.client.connection import public_api
from dvc_wandb.errors import DvcWandbError, error_reason
from dvc_wandb.project import cache
from dvc_wandb.project.files import md5_of
from dvc_wandb.project.pipeline import Pipeline


def find_model(pipeline: Pipeline, target: str, md5: str, connect: Callable[[], Any]) -> Path:
    """Where a file with this md5 lies; downloaded from the registered model `target`, or from DVC's remote.

    `connect` prepares the SDK. Raises DvcWandbError if nothing has these bytes.
    """
    if path := at_hand(pipeline, md5):
        return path
    try:
        connect()
        return _download(target, md5)
    except DvcWandbError as error:
        reason = error_reason(error)
    remote = cache.pull_object(pipeline, md5)
    if path := at_hand(pipeline, md5):
        return path
    raise DvcWandbError(
        f"the model {md5} is neither in the workspace nor in DVC's cache; {reason}, and {remote}. If it was in "
        "production, `dvc-wandb push` by whoever has it brings it into the DVC remote."
    )


def at_hand(pipeline: Pipeline, md5: str) -> Path | None:
    """Where a file with this md5 lies in the workspace or in DVC's cache."""
    outs = (pipeline.root / out.path for execution in pipeline.locked() for out in execution.outs if out.md5 == md5)
    paths = (*outs, cache.object_path(pipeline, md5))
    return next((path for path in paths if path.is_file() and md5_of(path) == md5), None)


def _download(target: str, md5: str) -> Path:
    """Download the file from the version with this content, and check it."""
    api, name = public_api(), f"{target}:{content_alias.make(md5)}"
    if not api.artifact_exists(name):
        raise DvcWandbError(f"the registry has no version of {target} with these bytes")
    digest = base64.b64encode(bytes.fromhex(md5)).decode()
    version = api.artifact(name)
    entry = next((one for one in version.manifest.entries.values() if one.digest == digest), None)
    if entry is None:
        raise DvcWandbError(
            f"{target}:{version.version} has the alias {content_alias.make(md5)}, but holds other bytes"
        )
    try:
        path = Path(version.get_entry(entry.path).download(root=str(temporary_folders.folder())))
    except Exception as error:
        raise DvcWandbError(error_reason(error)) from None
    if md5_of(path) != md5:
        raise DvcWandbError(f"the registry serves other bytes for {target}:{version.version} than its manifest says")
    return path
