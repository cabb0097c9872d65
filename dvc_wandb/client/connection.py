"""Finds the registry, and opens runs on it.

If WANDB_BASE_URL or WANDB_API_KEY is set, that is a W&B server; else it is the embedded registry. We query its viewer
before we start the SDK: the SDK would retry a closed port for minutes, and ask for a login on the terminal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dvc_wandb import temporary_folders
from dvc_wandb.client import local_server
from dvc_wandb.client.http_client import RegistryClient
from dvc_wandb.client.timeouts import in_background
from dvc_wandb.errors import RegistryHTTPError, RegistryUnavailableError, error_reason, one_line

if TYPE_CHECKING:
    import wandb

RESPONSE_TIMEOUT = 5.0  # seconds
INIT_TIMEOUT = 30.0  # seconds
FINISH_TIMEOUT = 60.0  # seconds for a run's last uploads, after its artifacts

# If the registry dies while a stage runs, give up after about ten seconds. The SDK's default is seven days.
# `dvc-wandb mirror` later adds what is missing.
RETRY_SETTINGS: dict[str, Any] = {
    f"x_{part}_retry_{key}": value
    for part in ("graphql", "file_transfer", "file_stream")
    for key, value in {"max": 5, "wait_min_seconds": 0.5, "wait_max_seconds": 3}.items()
}


@dataclass(frozen=True)
class RegistryConnection:
    """A registry that answers, and the W&B project that mirrors the pipeline."""

    url: str
    entity: str
    project: str
    embedded: bool

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}"

    @property
    def project_url(self) -> str:
        return f"{self.url}/{self.path}"

    def check(self) -> None:
        """Raises RegistryUnavailableError if the registry doesn't answer any more."""
        _viewer(self.url)


def connect(root: Path, project: str, sdk: bool = True) -> RegistryConnection:
    """Find the registry. Raises RegistryUnavailableError with the reason if there is none.

    Starts the SDK too; with `sdk=False` it doesn't, for commands that may have nothing to write.
    """
    mode = os.environ.get("WANDB_MODE") or "online"
    if mode not in ("online", "run", "shared"):
        raise RegistryUnavailableError(f"WANDB_MODE is {mode}")
    embedded = _set_environment(root)
    url = (os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").rstrip("/")
    viewer = _viewer(url)
    if sdk:
        start_sdk()
    return RegistryConnection(
        url=url,
        entity=os.environ.get("WANDB_ENTITY") or viewer["entity"],
        project=project,
        embedded=embedded,
    )


def browser_url(connection: RegistryConnection, root: Path) -> str:
    """Where a person opens the project in a browser; the embedded registry's URL signs in, once."""
    return (local_server.login_url(root) if connection.embedded else None) or connection.project_url


def configure_sdk(root: Path) -> None:
    """Point this process's SDK to the registry that the recorder of the same stage has found."""
    _set_environment(root)


def ensure_running(connection: RegistryConnection, root: Path) -> None:
    """Start the embedded registry again if it has stopped. Raises RegistryUnavailableError if that fails.

    It listens on the same address as before, so the SDK's retries find it.
    """
    if connection.embedded:
        local_server.ensure(root)


def _set_environment(root: Path) -> bool:
    """Set the SDK's environment variables. Starts the embedded registry and returns True, unless another one is set."""
    embedded = not os.environ.get("WANDB_BASE_URL") and not os.environ.get("WANDB_API_KEY")
    if embedded:
        server = local_server.ensure(root)
        os.environ["WANDB_BASE_URL"], os.environ["WANDB_API_KEY"] = server.url, server.api_key
        _bypass_proxy(server.url)
    os.environ.setdefault("WANDB_SILENT", "true")  # we print one line per stage ourselves
    for name in ("WANDB_RUN_ID", "WANDB_RESUME"):  # they name a single run; we have one per stage
        os.environ.pop(name, None)
    unset = [name for name in ("DIR", "CACHE_DIR", "DATA_DIR", "ARTIFACT_DIR") if f"WANDB_{name}" not in os.environ]
    if unset:  # keep the SDK's copies of files out of the workspace and the home folder
        folder = str(temporary_folders.folder())
        os.environ.update({f"WANDB_{name}": folder for name in unset})
    return embedded


def start_sdk() -> None:
    """Import the SDK and start its service process; takes half a second. Raises RegistryUnavailableError."""
    import wandb

    try:
        wandb.setup()
    except ValueError as error:  # an invalid environment variable
        raise RegistryUnavailableError(error_reason(error)) from None


def public_api() -> wandb.Api:
    """The SDK's client for queries.

    New for each use: it caches the runs that it has seen, and fails once the SDK's service process has ended.
    """
    import wandb

    return wandb.Api()


def open_run(connection: RegistryConnection, settings: dict[str, Any] | None = None, **arguments: Any) -> wandb.Run:
    """Open a W&B run in the project; `arguments` are those of `wandb.init`. Raises RegistryUnavailableError."""
    import wandb
    from wandb.errors import CommError, UsageError

    start_sdk()
    try:
        return wandb.init(
            entity=connection.entity,
            project=connection.project,
            settings=wandb.Settings(
                silent=True,
                init_timeout=INIT_TIMEOUT,
                finish_timeout=FINISH_TIMEOUT,
                **RETRY_SETTINGS,
                **(settings or {}),
            ),
            **arguments,
        )
    except (CommError, UsageError, ValueError) as error:
        raise RegistryUnavailableError(
            f"no run can be opened in {connection.path} at {connection.url}: {one_line(error)}"
        ) from None


def _viewer(url: str) -> dict[str, Any]:
    """The account that the API key belongs to."""
    client = RegistryClient(url)
    try:
        # In a thread, since the timeout of requests starts anew with each piece of a response
        response = in_background(lambda: client.graphql("query Viewer { viewer { id entity username } }"))
        viewer = response.result(timeout=RESPONSE_TIMEOUT).get("viewer")
    except TimeoutError:
        raise RegistryUnavailableError(
            f"the registry at {url} doesn't answer within {RESPONSE_TIMEOUT:g} seconds"
        ) from None
    except RegistryHTTPError as error:
        if error.status not in (401, 403):
            raise
        viewer = None
    if not viewer:
        raise RegistryUnavailableError(f"the registry at {url} refuses the API key; check WANDB_API_KEY")
    return viewer


def _bypass_proxy(url: str) -> None:
    """Exclude the embedded registry from the proxies of the environment."""
    host = urlsplit(url).hostname or ""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [part for part in os.environ.get(name, "").split(",") if part]
        if host not in hosts:
            os.environ[name] = ",".join([*hosts, host])
