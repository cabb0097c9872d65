"""dvc-wandb check: whether a signed statement is true, by the key, the bytes at hand, and a run of its commit."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from dvc_wandb import machine
from dvc_wandb.cli.provenance import trust_options
from dvc_wandb.client.connection import connect
from dvc_wandb.client.versions import RegistryProject
from dvc_wandb.errors import DvcWandbError, ProjectError, error_reason
from dvc_wandb.project.packages import environment
from dvc_wandb.project.packages.environment import Environment
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name, project_root
from dvc_wandb.provenance import bundle, check, form, reproduction, statement
from dvc_wandb.provenance.statement import Statement
from dvc_wandb.provenance.trust import Trusted
from dvc_wandb.report import reproduce, tolerance
from dvc_wandb.report.tolerance import EXACT, Tolerance
from dvc_wandb.sync import attestations

MOST, LONGEST = 50, 1000  # things that are not so, and characters of one
NAMED = 5  # materials that are not at hand, by their names


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "check",
        help="check a signed statement: its key, the model, every material at hand; or by running it again",
        description="Verifies a statement that `dvc-wandb attest` made: that the key signed it, that the model has the "
        "bytes that it names, and, in a clone of the project, that the commit it names has these materials, parameters "
        "and commands. Asks no registry. Ends with 0 only if all of it is so.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the statement, such as model.h5.sigstore.json")
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        type=Path,
        help="the model's file or folder (default: FILE's name without .sigstore.json)",
    )
    trust_options.add(parser, required=True, help="whom you trust")
    parser.add_argument(
        "--reproduce",
        action="store_true",
        help="also run its commit again on nothing, with the packages of its lock file, and compare",
    )
    parser.add_argument(
        "--installed",
        action="store_true",
        help="with --reproduce: with the packages that are installed, whatever the commit's lock says",
    )
    parser.add_argument(
        "--log", action="store_true", help="with --reproduce: tell the registry what became of it, for the model's page"
    )
    parser.add_argument(
        "--tolerance",
        metavar="KIND=MAX",
        help="with --reproduce: what is near enough, as `dvc-wandb reproduce` takes it; it is told apart from what is "
        "equal to the byte",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    trusted = trust_options.trusted(arguments)
    signed = bundle.read(arguments.file)
    stated = trusted.verify(signed)
    about = statement.subject(stated)
    print(f"signature  by {trusted.described(signed)}: valid")
    if by_signer := statement.byproduct(stated, form.REPRODUCTION):
        print(f"stated     by the signer: reproduced {_shown(reproduction.described(by_signer))}")
    differences = [*_check_model(stated, arguments.model or _beside(arguments.file)), *_check_materials(stated)]
    if (arguments.log or arguments.tolerance is not None or arguments.installed) and not arguments.reproduce:
        raise DvcWandbError("--log, --tolerance and --installed are about a run: give --reproduce too.")
    if arguments.reproduce:
        allowed = EXACT if arguments.tolerance is None else tolerance.parse(arguments.tolerance)
        verdict, of_run = _run_again(stated, allowed, arguments.installed)
        print(f"reproduced on {machine.host()}: {verdict}")
        differences += of_run
        if arguments.log:
            _log(stated, trusted, verdict, not of_run)
    for difference in differences[:MOST]:
        print(f"not so     {_shown(difference)}")
    if len(differences) > MOST:
        print(f"not so     {len(differences) - MOST} more things")
    if differences:
        many = len(differences) > 1
        count = f"{len(differences)} things in it are" if many else "a thing in it is"
        print(f"dvc-wandb: don't trust {_shown(about['name'])} by this statement: {count} not so.", file=sys.stderr)
    return 1 if differences else 0


def _shown(text: str) -> str:
    """What somebody else wrote, as a terminal may have it: without control characters, and not endless."""
    escaped = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text[:LONGEST])
    return escaped + (f"… ({len(text) - LONGEST} more characters)" if len(text) > LONGEST else "")


def _beside(file: Path) -> Path | None:
    model = file.with_name(file.name.removesuffix(".sigstore.json"))
    return model if model != file and (model.exists() or model.is_symlink()) else None


def _check_model(stated: Statement, path: Path | None) -> list[str]:
    about = statement.subject(stated)
    name = _shown(f"{about['name']} {statement.subject_md5(stated)[:8]}")
    if path is None:
        print(f"model      {name}: no file is given, so no bytes were held against it")
        return []
    try:
        check.check_subject(stated, path)
    except FileNotFoundError:
        raise DvcWandbError(f"there is no {path}; name the model that the statement is about.") from None
    except DvcWandbError as error:
        return [error_reason(error)]
    print(f"model      {path}: the bytes of {name}")
    return []


def _check_materials(stated: Statement) -> list[str]:
    """What the commit has otherwise, where this is a clone of the project."""
    commit = statement.commit(stated)[:10]
    try:
        root = project_root()
    except ProjectError:
        print(f"materials  not checked: this is no clone of the project, which has them at the commit {commit}")
        return []
    try:
        found = check.compare(stated, check.pipeline_at_its_commit(stated, root))
    except ProjectError:
        raise
    except DvcWandbError as error:
        return [error_reason(error)]
    more = len(found.without_bytes) - NAMED
    missing = ", ".join(found.without_bytes[:NAMED]) + (f" and {more} more" if more > 0 else "")
    if not found.differences:
        print(
            f"materials  {found.materials} at the commit {commit}: all as dvc.lock has them there, {found.by_bytes} by "
            f"their bytes{f'; the bytes of {missing} are not at hand' if missing else ''}"
        )
        if found.packages:
            print(f"packages   {found.packages} of the lock file at the commit {commit}: all with the hashes stated")
    return found.differences


def _run_again(stated: Statement, allowed: Tolerance, as_installed: bool) -> tuple[str, list[str]]:
    """Run the commit again on nothing: what became of it, in words, and all that came out otherwise than stated."""
    pipeline = check.pipeline_at_its_commit(stated, project_root())
    name, stage = statement.subject(stated)["name"], statement.stage(stated)
    folder = Path(tempfile.mkdtemp(prefix="check-"))
    differences = ["it did not run to its end"]
    try:
        root = reproduce.clone(pipeline, folder)
        packages = Environment() if as_installed else environment.make(root, folder / "environment")
        missing = reproduce.bring_added_or_imported(pipeline, root)
        for path, why in missing.items():
            print(f"dvc-wandb: {path} can't be had: {why}.", file=sys.stderr, flush=True)
        stages = reproduce.unaffected(reproduce.runnable(pipeline, stage), missing)
        ran = reproduce.run(root, stages, packages, folder / "cache", folder / "log")
        near = _near_outs(pipeline, root, ran, allowed)
        differences = list(_differences(stated, root, ran, near))
    finally:
        if not differences or not (folder / "log").exists():
            shutil.rmtree(folder, ignore_errors=True)
    if differences:
        kept = f"the run is kept in {folder / 'clone'}, what it printed in {folder / 'log'}"
        is_same = stage in ran and check.out_in(Pipeline(root), name).md5 == statement.subject_md5(stated)
        verdict = "equal to the byte, and what it was made from is not" if is_same else "not"
        return f"{name} is {verdict} as the statement says", [*differences, kept]
    return f"{name} is within {allowed}: {near[name]}" if name in near else f"{name} is equal to the byte", []


def _near_outs(pipeline: Pipeline, root: Path, ran: set[str], allowed: Tolerance) -> dict[str, str]:
    """How far apart each out is that has other bytes within the tolerance."""
    if allowed == EXACT:
        return {}
    outs = (out for stage in reproduce.compare(pipeline, root, ran, allowed) for out in stage.outs if out.within)
    return {out.path: "; ".join(out.files.values()) for out in outs}


def _differences(stated: Statement, root: Path, ran: set[str], near: Collection[str]) -> Iterator[str]:
    stages = statement.stages(stated)
    if missing := [name for name in stages if name not in ran and not name.endswith(".dvc")]:
        yield f"{', '.join(missing)} did not run to the end in a clone of the commit"
        return
    for difference in check.compare(stated, Pipeline(root), near=near).differences:
        yield f"run again, {difference}"


def _log(stated: Statement, trusted: Trusted, verdict: str, holds: bool) -> None:
    """Tell the registry what became of the run, beside the statement that it has there."""
    pipeline, name = Pipeline(project_root()), statement.subject(stated)["name"]
    connection = connect(pipeline.root, project_name(pipeline.root))
    collection = attestations.collection_for(check.out_in(pipeline, name))
    md5 = statement.subject_md5(stated)
    found = attestations.find(RegistryProject(connection), connection, collection, md5, trusted)
    facts = {"holds": holds, "host": machine.host(), "verdict": verdict}
    print(f"logged     {attestations.log_reproduction(connection, found, facts)}")
