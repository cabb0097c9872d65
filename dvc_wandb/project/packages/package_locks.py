"""Packages at their versions, as the lock file of uv, poetry, pdm, pipenv, pixi, conda-lock, pip or conda has them.

Where a project has several, the one that stands first in READERS counts: the file that its packager resolved, then what
was made from such a file.
"""

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
CONDA_REQUIREMENT = re.compile(r"(?:[^:\s]+::)?(?P<name>[\w.-]+)\s*==?\s*(?P<version>[^\s=<>!~*,|]+)(?:=[^\s=]+)?")
PYLOCK, REQUIREMENTS = "pylock.toml", "requirements.txt"
SECURE = ("sha256", "sha384", "sha512")  # the hashes that pip takes
# conda's platforms, as Python says where it runs
PLATFORMS = {
    "linux-64": ("linux", "platform_machine == 'x86_64'"),
    "linux-aarch64": ("linux", "platform_machine == 'aarch64'"),
    "osx-64": ("darwin", "platform_machine == 'x86_64'"),
    "osx-arm64": ("darwin", "platform_machine == 'arm64'"),
    "win-64": ("win32", "platform_machine == 'AMD64'"),
}


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


def _pylock(text: str) -> Iterator[Pin]:
    """PEP 751's pylock.toml (https://packaging.python.org/en/latest/specifications/pylock-toml/), whoever wrote it.

    What is from git or a path has no version that an index knows.
    """
    for one in tomllib.loads(text)["packages"]:
        if "version" in one and not {"vcs", "directory"} & one.keys():
            files = [*one.get("wheels", []), *(one[kind] for kind in ("sdist", "archive") if kind in one)]
            hashes = (f"{how}:{value}" for file in files for how, value in file["hashes"].items() if how in SECURE)
            yield Pin(one["name"], one["version"], one.get("marker", ""), tuple(hashes))


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
        kind, marker = "pypi" if one.get("manager") == "pip" else "conda", _platform_marker([one.get("platform")])
        yield Pin(one["name"], str(one["version"]), marker, _sha256(one.get("hash", {})), kind)


def _pixi(text: str) -> Iterator[Pin]:
    """A conda package without a name has it in its URL: …/numpy-2.4.6-py311_0.conda. Paths are the project's own."""
    facts = _yaml(text)
    platforms = _pixi_platforms(facts)
    for one in facts["packages"]:
        place = one.get("pypi") or one.get("conda") or one.get("url") or ""
        marker = _platform_marker(platforms.get(place, ()))
        if "name" in one and "version" in one:
            kind = "pypi" if "pypi" in one or one.get("kind") == "pypi" else "conda"
            if kind == "conda" or urlsplit(place).scheme in ("http", "https"):
                yield Pin(one["name"], str(one["version"]), marker, _sha256(one), kind)
        elif "conda" in one:
            file = unquote(urlsplit(place).path.rpartition("/")[2])
            name, version, _ = re.sub(r"\.(conda|tar\.bz2)$", "", file).rsplit("-", 2)
            yield Pin(name, version, marker, _sha256(one), "conda")


def _pixi_platforms(facts: dict[str, Any]) -> dict[str, list[str]]:
    """By the address of a package, the platforms for which an environment has it."""
    found: dict[str, list[str]] = {}
    for environment in (facts.get("environments") or {}).values():
        for platform, packages in environment["packages"].items():
            for one in packages:
                found.setdefault(one.get("pypi") or one.get("conda"), []).append(platform)
    return found


def _platform_marker(platforms: Iterable[str | None]) -> str:
    """conda's platforms as a marker; "" where one of them isn't known, as for what runs anywhere."""
    names = sorted({str(one) for one in platforms})
    if not PLATFORMS.keys() >= set(names):
        return ""
    return " or ".join(f"(sys_platform == '{PLATFORMS[one][0]}' and {PLATFORMS[one][1]})" for one in names)


def _conda_environment(text: str) -> Iterator[Pin]:
    """What `conda env export` writes: numpy=2.4.6=py311_0, and pip's as requirements. A range is no version."""
    for one in _yaml(text)["dependencies"]:
        if isinstance(one, dict):
            yield from _requirements("\n".join(one.get("pip") or []))
        elif found := CONDA_REQUIREMENT.fullmatch(one):
            yield Pin(found["name"], found["version"], kind="conda")


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
    PYLOCK: _pylock,
    REQUIREMENTS: _requirements,
    "environment.yml": _conda_environment,
}
