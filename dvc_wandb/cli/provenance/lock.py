"""dvc-wandb lock: the versions of the packages that stages run with, as parameters that DVC watches."""

from __future__ import annotations

import argparse
from typing import Any

from dvc_wandb.project.packages import packages_file
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "lock",
        help="write the versions of the packages that stages import to packages.yaml",
        description="Writes packages.yaml from the project's lock file (uv, poetry, pdm, pipenv, pixi, conda-lock, a "
        "pylock.toml, or a requirements.txt or environment.yml with versions; the first of these that it has): the "
        "packages that it has already and those that stages name, else all that stages import. Stages that name them "
        "as parameters run again where a version changes.",
    )
    parser.set_defaults(command=run)


def run(_arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    locked = packages_file.update(pipeline)
    (pipeline.root / packages_file.NAME).write_text(locked.text)
    for name, (before, after) in locked.changes.items():
        print(f"{name}: {before or 'not named'} → {after}")
    print(
        f"{packages_file.NAME}: {locked.count} package{'s' if locked.count != 1 else ''} as {locked.lock} has them, "
        f"{len(locked.changes)} changed"
    )
    return 0
