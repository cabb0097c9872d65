"""dvc-wandb repro: runs what changed, several stages at a time, each by DVC."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

from dvc_wandb.parallel.repro import DASK, HERE, SLURM, Request, repro
from dvc_wandb.project.settings import project_root


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "repro",
        help="run what changed, several stages at a time",
        description="Runs the stages that `dvc repro` would run, each by DVC and as soon as what it reads is there. "
        "dvc.lock and the .gitignore files come out as from `dvc repro`, to the byte. Ctrl-C ends the stages; the next "
        "call goes on with what is left.",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="as for `dvc repro` (default: dvc.yaml)")
    parser.add_argument("-j", "--jobs", type=_count, help="stages at a time (default: CPUs; all of them elsewhere)")
    parser.add_argument(
        "--on",
        type=_place,
        default=HERE,
        metavar="WHERE",
        help="where: `here`, each as a job of `slurm`, or on the workers of `dask://HOST:PORT` (default: here)",
    )
    parser.add_argument(
        "--away",
        action="store_true",
        help="with SLURM: its nodes share no folder with this machine. The DVC remote is between, as with Dask",
    )
    parser.add_argument(
        "--retries",
        type=_retries,
        default=2,
        metavar="N",
        help="times a stage runs again whose node is lost (default: 2)",
    )
    parser.add_argument("-P", "--all-pipelines", action="store_true", help="the stages of every dvc.yaml")
    parser.add_argument("-k", "--keep-going", action="store_true", help="after a failure run what doesn't need it")
    parser.add_argument("-f", "--force", action="store_true", help="run stages although nothing changed")
    parser.add_argument("-q", "--quiet", action="store_true", help="only what the stages print, in the serial order")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.away and arguments.on == HERE:
        print("dvc-wandb: --away is for machines elsewhere: add `--on slurm`.", file=sys.stderr)
        return 2
    request = Request(
        targets=arguments.targets,
        all_pipelines=arguments.all_pipelines,
        jobs=arguments.jobs,
        on=arguments.on,
        away=arguments.away,
        retries=arguments.retries,
        keep_going=arguments.keep_going,
        force=arguments.force,
        quiet=arguments.quiet,
    )
    return 0 if repro(project_root(), request) else 1


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no number of stages: 1 or more are expected.")


def _place(text: str) -> str:
    if text in (HERE, SLURM) or re.fullmatch(rf"{DASK}[^/\s]+:\d+", text):
        return text
    raise argparse.ArgumentTypeError(f"'{text}' is no place: {HERE}, {SLURM} or {DASK}HOST:PORT are expected.")


def _retries(text: str) -> int:
    if text.isascii() and text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no number of times, 0 or more.")
