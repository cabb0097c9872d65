"""The DVC remote of the project, by which head and nodes exchange everything."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from dvc_wandb.errors import ProjectError
from dvc_wandb.parallel.cluster.exchange import Exchange
from dvc_wandb.project.settings import tmp_folder


def exchange(root: Path) -> Exchange:
    """A folder in the default remote for the jobs of this clone. Raises ProjectError without a remote."""
    from dvc.config import Config
    from dvc.exceptions import DvcException
    from dvc.fs import get_cloud_fs, get_fs_config

    config: Any = Config(str(root / ".dvc"))
    name = config["core"].get("remote")
    if not name:
        raise ProjectError(
            "stages on machines that share no folder meet us in the DVC remote, and this project has no default one. "
            "Run `dvc remote add --default NAME URL`."
        )
    try:
        settings = get_fs_config(config, name=name)
        _, _, path = get_cloud_fs(config, name=name)
    except DvcException as error:
        raise ProjectError(f"the DVC remote '{name}' can't be used: {error}.") from None
    return Exchange(f"{path.rstrip('/')}/dvc-wandb/{_id(root)}", json.dumps(settings, default=str))


def use(root: Path, name: str, settings: str, cache: Path) -> None:
    """Give the clone at `root` the remote, whatever configuration it was in, and a DVC cache.

    They are in its config.local, which git ignores.
    """
    from dvc.config import Config

    config: Any = Config(str(root / ".dvc"), validate=False)
    with config.edit("local") as local:
        local.setdefault("core", {})["remote"] = name
        local.setdefault("remote", {})[name] = json.loads(settings)
        local.setdefault("cache", {})["dir"] = str(cache)


def default_name(root: Path) -> str:
    from dvc.config import Config

    return Config(str(root / ".dvc"))["core"]["remote"]


def _id(root: Path) -> str:
    """A name that no other clone with the same remote has."""
    path = tmp_folder(root) / "dvc-wandb-away"
    if not path.exists():
        path.write_text(secrets.token_hex(8))
    return path.read_text()
