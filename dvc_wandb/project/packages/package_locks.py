"""Packages at their versions, as the lock file of uv, poetry, pdm, pipenv, pixi, conda-lock or pip has them."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.dvc_errors import on_one_line


@dataclass(frozen=True)
class Pin:
    """A package at a version, where its `marker` holds; the `hashes` of its files are written as sha256:…

    `kind` is who has it: pypi or conda.
    """

    name: str
    version: str
    marker: str = ""
    hashes: tuple[str, ...] = ()
    kind: str = "pypi"

    @property
    def url(self) -> str:
        """Its package URL (https://github.com/package-url/purl-spec)."""
        return f"pkg:{self.kind}/{normalized(self.name)}@{self.version}"


REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*(?P<version>[^\s;\\#]+)"
    r"\s*(?:;\s*(?P<marker>.*?))?\s*(?:--hash|\s#|$)"
)


def find(root: Path) -> Path | None:
    """The lock file of the project at `root`, the most exact kind first; None where it has none."""
    return next((root / name for name in READERS if (root / name).is_file()), None)


def read(path: Path) -> dict[str, str]:
    """The version of each package by its normalized name; several, as for several systems, with "or" between them.

    Raises ProjectError where the file can't be read as what its name says.
    """
    found: dict[str, set[str]] = {}
    for pin in pins(path):
        found.setdefault(normalized(pin.name), set()).add(pin.version)
    return {name: " or ".join(sorted(versions)) for name, versions in found.items()}


def pins(path: Path) -> list[Pin]:
    """All that a lock file holds. Raises ProjectError."""
    try:
        return parse(path.name, path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path.name} can't be read as a lock file: {on_one_line(str(error))}.") from None


def parse(name: str, text: str) -> list[Pin]:
    """The same of the text of a lock file called `name`. Raises ProjectError."""
    import yaml

    try:
        return list(READERS[name](text))
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ProjectError(f"{name} can't be read as a lock file: {on_one_line(str(error))}.") from None


def normalized(name: str) -> str:
    """A package's name as PyPI compares it; without dots, which separate the keys of a parameter."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(text: str) -> Iterator[Pin]:
    for line in text.replace("\\\n", " ").splitlines():
        if found := REQUIREMENT.match(line):
            hashes = re.findall(r"--hash[=\s]+(\w+:\w+)", line)
            yield Pin(found["name"], found["version"], found["marker"] or "", tuple(hashes))


def _toml(text: str) -> Iterator[Pin]:
    """uv.lock, poetry.lock and pdm.lock; a package without a version is the project itself."""
    for one in tomllib.loads(text)["package"]:
        if "version" in one:
            files = [*one.get("files", []), *one.get("wheels", []), *([one["sdist"]] if "sdist" in one else [])]
            yield Pin(one["name"], one["version"], _marker(one), _hashes(file.get("hash") for file in files))


def _marker(package: dict[str, Any]) -> str:
    """The marker of a package in poetry.lock or pdm.lock: a text, or in poetry.lock one by group."""
    marker = package.get("markers") or package.get("marker") or ""
    if isinstance(marker, str):
        return marker
    everywhere = set(package.get("groups", [])) - marker.keys()
    return "" if everywhere else " or ".join(f"({one})" for one in marker.values())


def _pipfile(text: str) -> Iterator[Pin]:
    for name, one in json.loads(text)["default"].items():
        if "version" in one:
            yield Pin(name, one["version"].lstrip("="), one.get("markers", ""), _hashes(one.get("hashes", [])))


def _conda_lock(text: str) -> Iterator[Pin]:
    for one in _yaml(text)["package"]:
        kind = "pypi" if one.get("manager") == "pip" else "conda"
        yield Pin(one["name"], str(one["version"]), hashes=_sha256(one.get("hash", {})), kind=kind)


def _pixi(text: str) -> Iterator[Pin]:
    """A conda package without a name has it in its URL: …/numpy-2.4.6-py311_0.conda."""
    for one in _yaml(text)["packages"]:
        if "name" in one and "version" in one:
            kind = "pypi" if "pypi" in one else "conda"
            yield Pin(one["name"], str(one["version"]), hashes=_sha256(one), kind=kind)
        elif "conda" in one:
            file = unquote(urlsplit(one["conda"]).path.rpartition("/")[2])
            name, version, _ = re.sub(r"\.(conda|tar\.bz2)$", "", file).rsplit("-", 2)
            yield Pin(name, version, hashes=_sha256(one), kind="conda")


def _sha256(facts: dict[str, Any]) -> tuple[str, ...]:
    return (f"sha256:{facts['sha256']}",) if "sha256" in facts else ()


def _hashes(found: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(one for one in found if one)


def _yaml(text: str) -> Any:
    import yaml

    return yaml.load(text, yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)


READERS: dict[str, Callable[[str], Iterator[Pin]]] = {
    "uv.lock": _toml,
    "poetry.lock": _toml,
    "pdm.lock": _toml,
    "Pipfile.lock": _pipfile,
    "pixi.lock": _pixi,
    "conda-lock.yml": _conda_lock,
    "requirements.txt": _requirements,
}
