"""Starts the embedded registry and finds its store. No other module here, but for `report`'s drawing, imports it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dvc_wandb.errors import RegistryUnavailableError
from wandb_registry import daemon
from wandb_registry.machine import Machine
from wandb_registry.storage import cache_sharing

__all__ = ["Machine", "ensure", "login_url", "share", "store_folder"]


def store_folder(root: Path) -> Path:
    """REGISTRY_DIR, else `.registry` in the root of the repository.

    An experiment in a temporary folder has its repository in DVC_ROOT.
    """
    return Path(os.environ.get("DVC_ROOT") or root) / (os.environ.get("REGISTRY_DIR") or ".registry")


def ensure(root: Path) -> daemon.Server:
    """The registry of this repository, started if it isn't running. Raises RegistryUnavailableError with the reason."""
    try:
        return daemon.ensure(store_folder(root))
    except daemon.DaemonError as error:
        raise RegistryUnavailableError(str(error)) from None


def share(root: Path, objects: Iterable[tuple[str, Path]]) -> int:
    """Let the registry's files share disk space with `objects` of DVC's cache, (md5, path); the bytes saved."""
    return cache_sharing.share(store_folder(root), objects).bytes


def login_url(root: Path) -> str | None:
    """A URL that opens the registry in a browser, signed in; None if it isn't running, or gives none."""
    try:
        return daemon.login_url(store_folder(root))
    except daemon.DaemonError:
        return None
