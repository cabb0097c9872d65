"""packages.yaml: the versions of the packages that can change a stage's bytes, which stages name as parameters.

So another version of one runs again the stages that import it, and no others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from dvc_wandb.errors import ProjectError
from dvc_wandb.project import remedies
from dvc_wandb.project.packages import package_locks
from dvc_wandb.project.packages.package_locks import normalized
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.undeclared.yaml_lines import as_yaml

NAME = "packages.yaml"
HEADER = """\
# Made by `dvc-wandb lock` from {lock}: the packages that can change a stage's bytes. Stages name them as parameters in
# dvc.yaml, so another version runs again those that import it.
"""


@dataclass(frozen=True)
class LockedPackages:
    """The text of packages.yaml as it should be, and what it had otherwise: before and after by name."""

    lock: str
    text: str
    count: int
    changes: dict[str, tuple[str | None, str | None]]


def imported_by(pipeline: Pipeline, versions: Iterable[str]) -> dict[str, list[str]]:
    """By stage, the packages of `versions` that its code imports."""
    packages, known = metadata.packages_distributions(), set(versions)
    found = {}
    for stage, modules in pipeline.imported_modules().items():
        names = {normalized(one) for module in modules for one in packages.get(module, [module])}
        found[stage] = sorted(names & known)
    return found


def update(pipeline: Pipeline) -> LockedPackages:
    """packages.yaml anew, from the project's lock file: of the packages in it and in stages' parameters.

    Where there are none, of all that stages import. Raises ProjectError.
    """
    lock = package_locks.find(pipeline.root)
    if lock is None:
        raise ProjectError(f"there is no lock file to take versions from: one of {', '.join(package_locks.READERS)}.")
    versions, file = package_locks.read(lock), pipeline.root / NAME
    before_text = file.read_text() if file.exists() else ""
    before = _parsed(pipeline, before_text)
    names = {*before, *(key for keys in pipeline.named_params(NAME).values() for key in keys)}
    names = names or {name for found in imported_by(pipeline, versions).values() for name in found}
    if missing := sorted(name for name in names if normalized(name) not in versions):
        raise ProjectError(f"{lock.name} has no {', '.join(missing)}, which {NAME} or a stage's parameters name.")
    after = {name: versions[normalized(name)] for name in sorted(names)}
    comments = "".join(line for line in before_text.splitlines(keepends=True) if line.startswith("#"))
    lines = "".join(f"{name}: {as_yaml(version)}\n" for name, version in after.items())
    changed = {name: (before.get(name), after.get(name)) for name in after if before.get(name) != after[name]}
    text = before_text if before == after else (comments or HEADER.format(lock=lock.name)) + lines
    return LockedPackages(lock.name, text, len(after), changed)


def _parsed(pipeline: Pipeline, text: str) -> dict[str, str]:
    import yaml

    try:
        value = yaml.load(text, yaml.BaseLoader) or {}  # 2.10 is a version, and no number
    except yaml.YAMLError:
        value = None
    if not isinstance(value, dict):
        kept = remedies.is_in_git(pipeline.dvc, NAME)
        remedy = remedies.for_missing_file(pipeline.dvc, NAME) if kept else "Remove it, and this command makes it anew."
        raise ProjectError(f"{NAME} is no mapping of packages to versions. {remedy}")
    return value
