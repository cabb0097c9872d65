"""A temporary environment with the packages that a commit's lock file says, on top of the one that this runs in.

Only what differs is installed there, by uv or pip, from where these find packages. All else, such as DVC, is that of
this environment, beneath it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.dvc_errors import on_one_line
from dvc_wandb.project.packages import package_locks
from dvc_wandb.project.packages.package_locks import PYLOCK, REQUIREMENTS, Pin, normalized

INDEXES = ("--index-url", "-i ", "--extra-index-url", "--find-links", "-f ", "--no-index", "--trusted-host")
NAMED = 5  # packages in a sentence


@dataclass(frozen=True)
class Environment:
    """The Python that stages run with; the packages that are otherwise than here: version here and there, by name."""

    python: Path = Path(sys.executable)
    changed: dict[str, tuple[str | None, str]] = field(default_factory=dict)


def make(root: Path, folder: Path) -> Environment:
    """An environment in `folder` for the clone at `root`; this one where its lock says nothing else.

    Says what it does and how long it took. Raises ProjectError where what the lock says can't be installed.
    """
    lock = package_locks.find(root)
    if lock is None:
        return Environment()
    differing = _differing(_pins_here(lock))
    if condas := {pin.name: (_installed(pin.name), pin.version) for pin in differing if pin.kind == "conda"}:
        _say(
            f"{lock.name} has other versions of {_named(condas)}; neither uv nor pip installs conda's, so the stages "
            "run with what is here."
        )
    differing = [pin for pin in differing if pin.kind != "conda"]
    changed = {pin.name: (_installed(pin.name), pin.version) for pin in differing}
    if not changed:
        return Environment()
    _say(f"Installing {_named(changed)} into a temporary environment, as {lock.name} says …")
    began = time.monotonic()
    python = _make(lock, differing, folder)
    _say(f"Installed in {time.monotonic() - began:.0f} s.")
    return Environment(python, changed)


def _named(packages: dict[str, tuple[str | None, str]]) -> str:
    """How many packages, and the first of them with their versions there and here."""
    listed = [f"{name} {new}, here {old or 'none'}" for name, (old, new) in packages.items()]
    count = f"{len(listed)} package{'s' if len(listed) > 1 else ''}"
    more = [f"and {len(listed) - NAMED} more"] if len(listed) > NAMED else []
    return f"{count} ({'; '.join(listed[:NAMED] + more)})"


def _say(sentence: str) -> None:
    print(f"dvc-wandb: {sentence}", file=sys.stderr, flush=True)


# ---- what differs ----


def _pins_here(lock: Path) -> list[Pin]:
    """What a lock says for this machine and this Python."""
    from packaging.markers import InvalidMarker, Marker

    pins = (
        package_locks.parse(REQUIREMENTS, _uv_export(lock.parent))
        if lock.name == "uv.lock"
        else package_locks.pins(lock)
    )
    try:
        return [pin for pin in pins if not pin.marker or Marker(pin.marker).evaluate(_groups(lock))]
    except InvalidMarker as error:
        raise ProjectError(f"{lock.name} has a marker that can't be read: {on_one_line(str(error))}.") from None


def _groups(lock: Path) -> dict[str, frozenset[str]]:
    """What pylock.toml's markers ask for beside the system: no extras, and the groups of who names none."""
    named = tomllib.loads(lock.read_text()).get("default-groups", []) if lock.name == PYLOCK else []
    return {"extras": frozenset(), "dependency_groups": frozenset(named)}


def _uv_export(root: Path) -> str:
    """uv.lock as requirements: which of its packages are for this machine stands only in the edges between them."""
    uv = _uv()
    if uv is None:
        raise ProjectError("what uv.lock has for this machine only uv tells, and it isn't here: `pip install uv`.")
    options = ("--frozen", "--no-emit-workspace", "--no-header", "--no-annotate", "--offline")
    done = subprocess.run([uv, "export", "--quiet", *options], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProjectError(f"`uv export` can't read uv.lock: {on_one_line(done.stderr)}.")
    return done.stdout


def _differing(pins: list[Pin]) -> list[Pin]:
    """The pins that no installed version meets, one a package.

    Of what is conda's and not here nobody can tell whether it is a package of Python at all.
    """
    by_name: dict[str, list[Pin]] = {}
    for pin in pins:
        if pin.kind != "conda" or _installed(pin.name):
            by_name.setdefault(normalized(pin.name), []).append(pin)
    return [found[0] for found in by_name.values() if not any(_is_installed(pin) for pin in found)]


def _is_installed(pin: Pin) -> bool:
    """Whether it is here, as `==` has it: 2.1+cpu is a 2.1. To conda, 2.1.3 is a 2.1 too."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    version, more = _installed(pin.name), ".*" if pin.kind == "conda" else ""
    try:
        return version is not None and SpecifierSet(f"=={pin.version}{more}").contains(version, prereleases=True)
    except InvalidSpecifier:  # a version of conda's
        return version == pin.version


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


# ---- made ----


def _make(lock: Path, pins: list[Pin], folder: Path) -> Path:
    """The Python of a new environment in `folder` with these packages, and all of this one beneath them."""
    venv.EnvBuilder(symlinks=True).create(folder)
    python = folder / "bin" / "python"
    requirements = folder / REQUIREMENTS
    requirements.write_text("".join(f"{line}\n" for line in _lines(lock, pins)))
    _install(python, requirements, lock)
    # Only now, so that neither uv nor pip takes what is beneath for what they may replace
    packages = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    beneath = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    Path(packages, "beneath.pth").write_text(f"import site; list(map(site.addsitedir, {beneath}))\n")
    _bring_commands(python)
    return python


def _lines(lock: Path, pins: list[Pin]) -> Iterator[str]:
    """The lines of a requirements file: where the project's own says that packages are to be had, and the packages.

    A pylock.toml beside one was made from it.
    """
    own = lock.with_name(REQUIREMENTS)
    if lock.name in (PYLOCK, REQUIREMENTS) and own.is_file():
        yield from (line for line in own.read_text().splitlines() if line.startswith(INDEXES))
    for pin in pins:
        yield " ".join([f"{pin.name}=={pin.version}", *(f"--hash={one}" for one in pin.hashes)])


def _install(python: Path, requirements: Path, lock: Path) -> None:
    """By uv, else by pip; with nothing that the lock doesn't name. Raises ProjectError."""
    what = ("install", "--quiet", "--no-deps", "--requirement", str(requirements))
    commands = [[sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", *what]]
    if uv := _uv():
        commands.insert(0, [uv, "pip", *what, "--python", str(python)])
    said = ""
    for command in commands:
        done = subprocess.run(command, cwd=lock.parent, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        said = done.stderr
    reason = on_one_line(said).removeprefix("ERROR: ") or "no reason is given"
    raise ProjectError(
        f"what {lock.name} says can't be installed: {reason}. `--installed` runs the stages with what is here."
    )


def _uv() -> str | None:
    return shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def _bring_commands(python: Path) -> None:
    """Let the commands of packages beneath, such as papermill, run with the Python of the new environment."""
    here = Path(sys.executable).parent
    for name in {one.name for one in metadata.entry_points(group="console_scripts")}:
        old, new = here / name, python.with_name(name)
        if old.is_file() and not new.exists():
            content = old.read_bytes()
            new.write_bytes(content.replace(f"{here}/python".encode(), f"{python.parent}/python".encode(), 1))
            new.chmod(0o755)
