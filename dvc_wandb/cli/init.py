"""dvc-wandb init: prints the lines that the project needs. Changes nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dvc_wandb.errors import ProjectError
from dvc_wandb.project import suggestions
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root

NEXT = """Then:
  dvc-wandb mirror        bring the registry into agreement with dvc.lock; it needs no account: one starts here
  dvc-wandb verify        prove that the two agree
  dvc-wandb show          draw the lineage with the names of both sides
With WANDB_BASE_URL or WANDB_API_KEY set, the same go to W&B's own servers."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "init",
        help="print what this project would need",
        description="Prints the lines that the DVC project in the current folder would need, and where; changes "
        "nothing. Stage scripts stay as they are.",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        all_suggestions = list(suggestions.for_project(Pipeline(project_root())))
    except ProjectError:
        if any((folder / ".dvc").is_dir() for folder in (Path.cwd(), *Path.cwd().parents)):
            raise
        all_suggestions = list(suggestions.for_folder(Path.cwd()))
    for title, optional in (("Needed", False), ("If you like", True)):
        chosen = [one for one in all_suggestions if one.optional == optional]
        print(f"{title}{'' if chosen else ': nothing'}")
        for one in chosen:
            print(f"\n  {one.file or 'run'}: {one.why}")
            print("\n".join(f"    {line}" for line in one.lines))
        print()
    print(NEXT)
    return 0
