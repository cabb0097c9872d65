"""Finds a model by its md5: in the workspace, DVC's cache or the registry."""

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
    """The path of a file with this md5. Downloads it from the registered model `target` if DVC doesn't have it.

    `connect` prepares the SDK. Raises DvcWandbError if nothing has these bytes.
    """
    outs = (pipeline.root / out.path for execution in pipeline.locked() for out in execution.outs if out.md5 == md5)
    for path in (*outs, cache.object_path(pipeline, md5)):
        if path.is_file() and md5_of(path) == md5:
            return path
    try:
        connect()
        return _download(target, md5)
    except DvcWandbError as error:
        reason = error_reason(error)
    raise DvcWandbError(f"the model {md5} is neither in the workspace nor in DVC's cache, and {reason}.") from None


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
