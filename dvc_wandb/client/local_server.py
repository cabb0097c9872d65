"""Starts the embedded registry and finds its store. No other module here, but for `report`'s drawing, imports it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dvc_wandb.errors import RegistryUnavailableError
from wandb_registry import daemon
from wandb_registry.machine import Machine
from wandb_registry.storage import cache_sharing

__all__ = ["ForOthers", "Machine", "ensure", "for_others", "login_url", "share", "store_folder"]


@dataclass(frozen=True)
class ForOthers:
    """How processes on other machines reach the registry: by `variables`, and only in `network` unless that is None."""

    variables: dict[str, str] = field(default_factory=dict)
    network: str | None = None


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


def for_others(root: Path) -> ForOthers:
    """How a process that is started on another machine with our environment reaches the registry.

    The embedded one is started here if need be. It is reached from other machines if it listens on their network.
    """
    variables = ("WANDB_BASE_URL", "WANDB_API_KEY", "WANDB_MODE")
    if any(os.environ.get(name) for name in variables):
        return ForOthers()
    try:
        server = ensure(root)
    except RegistryUnavailableError:
        return ForOthers({"WANDB_MODE": "disabled"})
    here, port = Machine.here(), urlsplit(server.url).port
    if _listens(here.host, port):
        return ForOthers({"WANDB_BASE_URL": f"http://{here.host}:{port}", "WANDB_API_KEY": server.api_key})
    return ForOthers({"WANDB_BASE_URL": server.url, "WANDB_API_KEY": server.api_key}, here.network)


def _listens(host: str, port: int | None) -> bool:
    """Whether it listens at the machine's name too. If that is another name for 127.0.0.1, nobody can tell."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            return connection.getpeername()[0] not in ("127.0.0.1", "::1")
    except OSError:
        return False
