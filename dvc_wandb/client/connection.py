"""Which registry answers, and how runs are opened on it.

W&B's own servers where WANDB_BASE_URL or WANDB_API_KEY is set, else the embedded registry. It is asked for its
account before the SDK is: the SDK would retry a closed port for minutes and ask for a login on the terminal.
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
from dvc_wandb.errors import RegistryAway, RegistryRefuses, first_line, in_a_sentence

if TYPE_CHECKING:
    import wandb

ANSWER_WITHIN = 5.0  # seconds that a registry has to say who we are
OPEN_WITHIN = 30.0  # seconds until a run is open
FINISH_WITHIN = 60.0  # seconds that the last uploads of a run have once its artifacts are in

# A registry that dies while a stage runs is given up after some ten seconds, not after the SDK's seven days:
# `make mirror` makes up what is missing.
PATIENCE: dict[str, Any] = {
    f"x_{part}_retry_{key}": value
    for part in ("graphql", "file_transfer", "file_stream")
    for key, value in {"max": 5, "wait_min_seconds": 0.5, "wait_max_seconds": 3}.items()
}


@dataclass(frozen=True)
class RegistryConnection:
    """A registry that answered, and the project that the pipeline is mirrored in."""

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
        """Raises RegistryAway where the registry doesn't answer any more."""
        _account(self.url)


def connect(root: Path, project: str, sdk: bool = True) -> RegistryConnection:
    """Find the registry, and `project` in it; raises RegistryAway with the reason where there is none to be had.

    The SDK is started with it, unless it may turn out that nothing has to be written.
    """
    mode = os.environ.get("WANDB_MODE") or "online"
    if mode not in ("online", "run", "shared"):
        raise RegistryAway(f"WANDB_MODE is {mode}")
    own = _settle_environment(root)
    url = (os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").rstrip("/")
    viewer = _account(url)
    if sdk:
        start_sdk()
    return RegistryConnection(
        url=url,
        entity=os.environ.get("WANDB_ENTITY") or viewer["entity"],
        project=project,
        embedded=own,
    )


def enter(root: Path) -> None:
    """Let the SDK of this process talk to the registry that another process of the same stage has found."""
    _settle_environment(root)


def still_there(connection: RegistryConnection, root: Path) -> None:
    """Start the embedded registry again if it went away since; raises RegistryAway where that fails.

    It comes back at the same address, where the SDK's own retries find it.
    """
    if connection.embedded:
        local_server.ensure(root)


def _settle_environment(root: Path) -> bool:
    """Point the SDK to the embedded registry, started if need be, unless another is asked for; whether it is ours."""
    own = not os.environ.get("WANDB_BASE_URL") and not os.environ.get("WANDB_API_KEY")
    if own:
        server = local_server.ensure(root)
        os.environ["WANDB_BASE_URL"], os.environ["WANDB_API_KEY"] = server.url, server.api_key
        _reach_directly(server.url)
    os.environ.setdefault("WANDB_SILENT", "true")  # one line of our own a stage says it all
    for name in ("WANDB_RUN_ID", "WANDB_RESUME"):  # meant for one run, not for one a stage
        os.environ.pop(name, None)
    unset = [name for name in ("DIR", "CACHE_DIR", "DATA_DIR", "ARTIFACT_DIR") if f"WANDB_{name}" not in os.environ]
    if unset:  # the SDK's working copies of files lie neither in the workspace nor in the home
        folder = str(temporary_folders.folder())
        os.environ.update({f"WANDB_{name}": folder for name in unset})
    return own


def start_sdk() -> None:
    """Import the SDK and start its helper process, which takes half a second of waiting. Raises RegistryAway."""
    import wandb

    try:
        wandb.setup()
    except ValueError as error:  # of what it finds in the environment
        raise RegistryAway(in_a_sentence(error)) from None


def public_api() -> wandb.Api:
    """The SDK's way to ask the registry that this process was pointed to.

    Made anew for each use: it remembers the runs that it has seen, and is of no use once the SDK's helper was ended.
    """
    import wandb

    return wandb.Api()


def open_run(connection: RegistryConnection, settings: dict[str, Any] | None = None, **arguments: Any) -> wandb.Run:
    """A W&B run in the pipeline's project; `arguments` are those of `wandb.init`. Raises RegistryAway."""
    import wandb
    from wandb.errors import CommError, UsageError

    start_sdk()
    try:
        return wandb.init(
            entity=connection.entity,
            project=connection.project,
            settings=wandb.Settings(
                silent=True, init_timeout=OPEN_WITHIN, finish_timeout=FINISH_WITHIN, **PATIENCE, **(settings or {})
            ),
            **arguments,
        )
    except (CommError, UsageError, ValueError) as error:
        raise RegistryAway(
            f"no run can be opened in {connection.path} at {connection.url}: {first_line(error)}"
        ) from None


def _account(url: str) -> dict[str, Any]:
    """The account that the registry at `url` knows us as."""
    client = RegistryClient(url)
    try:
        # In a thread of its own: the limit of requests holds for each piece of an answer that comes byte by byte
        answer = in_background(lambda: client.graphql("query Viewer { viewer { id entity username } }"))
        viewer = answer.result(timeout=ANSWER_WITHIN).get("viewer")
    except TimeoutError:
        raise RegistryAway(f"the registry at {url} doesn't answer within {ANSWER_WITHIN:g} seconds") from None
    except RegistryRefuses as error:
        if error.status not in (401, 403):
            raise
        viewer = None
    if not viewer:
        raise RegistryAway(f"the registry at {url} refuses the API key; check WANDB_API_KEY")
    return viewer


def _reach_directly(url: str) -> None:
    """Keep a proxy from standing between us and our own loopback server."""
    host = urlsplit(url).hostname or ""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [part for part in os.environ.get(name, "").split(",") if part]
        if host not in hosts:
            os.environ[name] = ",".join([*hosts, host])
