"""dvc-wandb get: a model's bytes, by what is or was in production, or by a version of the registry."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

from dvc_wandb.errors import LineageError, RegistryAway, in_a_sentence
from dvc_wandb.production import history, registry_state
from dvc_wandb.production.promoting_stage import PromotingStage, promoting_stage_of
from dvc_wandb.production.registry_state import ALIAS
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.sync import fetch


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "get",
        help="fetch a registered model's bytes, checked against the record",
        description="Writes the bytes of a registered model: of what git's record has in production (NAME:production), "
        "of what it had at a date, or of a version or alias of the registry. From the workspace or DVC's cache where "
        "they hold it, else from the registry; always checked against the md5.",
    )
    parser.add_argument("model", metavar="NAME[:ALIAS]", help="such as MNIST-dev:production, MNIST-dev:v2")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write it")
    parser.add_argument(
        "--at", metavar="DATE", help="what was in production then: 2026-11-01 (its end), 2026-11-01T14:30"
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    where = promoting_stage_of(pipeline)
    name, _, version = arguments.model.partition(":")
    version = version or ALIAS
    target = registered_model_called(where, name)
    if arguments.at is not None and version != ALIAS:
        raise LineageError(f"--at asks what was in production; leave out ':{version}', or the date.")
    output = Path(arguments.output)
    if output.is_dir():
        raise LineageError(f"{output} is a folder; name the file to write in it, such as {output / 'model.h5'}.")
    md5, said = _recorded(where, target, arguments.at) if version == ALIAS else _held(where, target, version)
    try:
        found = where.asked(lambda: fetch.find(pipeline, target, md5, where.connected))
    except RegistryAway as error:
        raise LineageError(f"{in_a_sentence(error)}, and only the registry has the model {md5}.") from None
    _write(found, output)
    print(f"{output}: {target} {md5[:8]}, {said}; md5 {md5} checked")
    return 0


def registered_model_called(where: PromotingStage, name: str) -> str:
    """The registered model that `name` means: with its registry, or the one of the record without."""
    record = where.record()
    known = record.registered_model if record else ""
    if name in (known, known.rpartition("/")[2]):
        return known
    if "/" in name:
        return name
    raise LineageError(
        f"{where.path} is about {known or 'nothing yet'}; name another one with its registry: REGISTRY/{name}."
    )


def _recorded(where: PromotingStage, target: str, date: str | None) -> tuple[str, str]:
    """The md5 of what the record has, or had, in production, and how that is known."""
    record, source = where.record(), where.path
    if date is not None:
        chapter = history.at(history.of_git(where.root, where.path), history.moment(date))
        record = chapter.record if chapter else None
        source = f"{where.path} at the commit {str(chapter.commit)[:10]}" if chapter else source
    if record is None or record.registered_model != target or record.model_md5 is None:
        when = f" at {date}" if date else ""
        cut = history.cut_off(where.root) if date else None
        raise LineageError(f"{where.path} has no model of {target} in production{when}{f'; {cut}' if cut else ''}.")
    return record.model_md5, f"in production by {source}"


def _held(where: PromotingStage, target: str, version: str) -> tuple[str, str]:
    """The md5 of a version, named by its number or an alias, and its number in the registry."""
    try:
        held = where.asked(lambda: where.connected() and registry_state.held(target, version))
    except RegistryAway as error:
        raise LineageError(f"{in_a_sentence(error)}, and only the registry knows what '{version}' is.") from None
    if held is None:
        raise LineageError(f"{target} has no version or alias '{version}' in the registry.")
    if not held.md5:
        raise LineageError(
            f"{target}:{held.version} was not made by this pipeline: there is no md5 to check it against."
        )
    return held.md5, f"{held.version} in the registry"


def _write(found: Path, output: Path) -> None:
    """Whole or not at all: a service may be reading the file that is there."""
    new = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        shutil.copyfile(found, new)
        new.replace(output)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise LineageError(f"{output} can't be written: {error.strerror}.") from None
