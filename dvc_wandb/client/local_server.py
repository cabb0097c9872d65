"""The one seam to the embedded registry: nothing else of `lineage` knows `registry`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dvc_wandb.errors import RegistryAway
from wandb_registry import daemon
from wandb_registry.storage import cache_sharing


def store_of(root: Path) -> Path:
    """REGISTRY_DIR, else `.registry` in the repository's root.

    Relative to DVC_ROOT where that is set: an experiment in a temporary folder has its repository there.
    """
    return Path(os.environ.get("DVC_ROOT") or root) / (os.environ.get("REGISTRY_DIR") or ".registry")


def ensure(root: Path) -> daemon.Server:
    """The running registry of this repository, started if need be; raises RegistryAway with the reason."""
    try:
        return daemon.ensure(store_of(root))
    except daemon.DaemonError as error:
        raise RegistryAway(str(error)) from None


def share(root: Path, cached: Iterable[tuple[str, Path]]) -> int:
    """Let the registry's files share their bytes on disk with DVC's cache, given by md5; how many bytes that saved."""
    return cache_sharing.share(store_of(root), cached).bytes


def address(root: Path) -> str | None:
    """Where a person opens the registry in a browser, signed in; None where it isn't running."""
    return daemon.login_url(store_of(root))
