"""The versions of packages, as the lock file of uv, poetry, pdm, pipenv, pixi, conda-lock or pip has them."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.dvc_errors import on_one_line

Versions = Iterator[tuple[str, str]]


def find(root: Path) -> Path | None:
    """The lock file of the project at `root`, the most exact kind first; None where it has none."""
    return next((root / name for name in READERS if (root / name).is_file()), None)


def read(path: Path) -> dict[str, str]:
    """The version of each package by its normalized name; several, as for several systems, with "or" between them.

    Raises ProjectError where the file can't be read as what its name says.
    """
    import yaml

    found: dict[str, set[str]] = {}
    try:
        for name, version in READERS[path.name](path.read_text()):
            found.setdefault(normalized(name), set()).add(version)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ProjectError(f"{path.name} can't be read as a lock file: {on_one_line(str(error))}.") from None
    return {name: " or ".join(sorted(versions)) for name, versions in found.items()}


def normalized(name: str) -> str:
    """A package's name as PyPI compares it; without dots, which separate the keys of a parameter."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(text: str) -> Versions:
    yield from re.findall(r"(?m)^\s*([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;\\#]+)", text)


def _toml(text: str) -> Versions:
    """uv.lock, poetry.lock and pdm.lock; a package without a version is the project itself."""
    yield from ((one["name"], one["version"]) for one in tomllib.loads(text)["package"] if "version" in one)


def _pipfile(text: str) -> Versions:
    yield from (
        (name, one["version"].lstrip("=")) for name, one in json.loads(text)["default"].items() if "version" in one
    )


def _conda_lock(text: str) -> Versions:
    yield from ((one["name"], str(one["version"])) for one in _yaml(text)["package"])


def _pixi(text: str) -> Versions:
    """A conda package without a name has it in its URL: …/numpy-2.4.6-py311_0.conda."""
    for one in _yaml(text)["packages"]:
        if "name" in one and "version" in one:
            yield one["name"], str(one["version"])
        elif "conda" in one:
            file = unquote(urlsplit(one["conda"]).path.rpartition("/")[2])
            name, version, _ = re.sub(r"\.(conda|tar\.bz2)$", "", file).rsplit("-", 2)
            yield name, version


def _yaml(text: str) -> Any:
    import yaml

    return yaml.load(text, yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)


READERS: dict[str, Callable[[str], Versions]] = {
    "uv.lock": _toml,
    "poetry.lock": _toml,
    "pdm.lock": _toml,
    "Pipfile.lock": _pipfile,
    "pixi.lock": _pixi,
    "conda-lock.yml": _conda_lock,
    "requirements.txt": _requirements,
}
