"""dvc-wandb reproduce: runs a commit again on nothing, and says whether each output is byte-equal."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dvc_wandb import machine
from dvc_wandb.errors import ProjectError
from dvc_wandb.project import git, remedies
from dvc_wandb.project.git import revisions
from dvc_wandb.project.packages import environment
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.report import reproduce, tolerance
from dvc_wandb.report.graph_text import short_md5
from dvc_wandb.report.tolerance import EXACT, Tolerance

WITHIN = 3  # the exit status where nothing differs by more than the tolerance


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "reproduce",
        help="run the current commit again on nothing, and compare every output",
        description="Clones the current commit, or another one, into a temporary folder with an empty DVC cache, runs "
        "every stage there and says for each whether its outputs are equal to the byte; where not, which files differ "
        "and by how much. "
        "Data that are nowhere are named; the stages that don't need them run. Packages that the commit's lock file "
        "has at other versions are installed for it, by uv or pip, into a temporary environment. "
        "Ends with 0 only if all are equal to the byte. The clone stays where something differs.",
    )
    parser.add_argument(
        "--tolerance",
        metavar="KIND=MAX",
        help="tell what is near enough from what differs: the largest difference of metrics (numbers in .json, .yaml, "
        ".csv) and of weights (arrays in .h5, .npz, .npy), such as metrics=0.01,weights=1e-5; ends with 3 where all "
        "is equal or within it",
    )
    parser.add_argument(
        "--commit", metavar="REV", help="run this commit instead, such as the one that a statement is about"
    )
    parser.add_argument(
        "--installed", action="store_true", help="with the packages that are installed, whatever the commit's lock says"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON, which `dvc-wandb attest --reproduced` takes"
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    workspace = Pipeline(project_root())
    if workspace.commit is None:
        command = remedies.for_no_commits(workspace.dvc)
        begin = f"Run `{command}`, then commit" if command else "Commit it"
        raise ProjectError(f"a commit is what can be reproduced, and this project has none. {begin}.")
    allowed = EXACT if arguments.tolerance is None else tolerance.parse(arguments.tolerance)
    commit = workspace.commit
    if arguments.commit:
        commit = revisions.named_commit(workspace.root, arguments.commit, "to run again")
    pipeline = workspace.at(commit)
    if not arguments.json:
        print(f"commit {commit[:10]}, in a fresh clone with an empty cache", flush=True)
    if commit == workspace.commit and (changed := _changed(workspace.root)):
        print(f"dvc-wandb: not part of it, since not committed: {', '.join(changed)}.", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="reproduce-"))
    results, missing, packages = [], {}, environment.Environment()
    try:
        log = folder / "log"
        root = reproduce.clone(pipeline, folder)
        if not arguments.installed:
            packages = environment.make(root, folder / "environment")
        missing = reproduce.bring_added_or_imported(pipeline, root)
        for path, why in missing.items():
            print(f"dvc-wandb: {path} can't be had: {why}.", file=sys.stderr, flush=True)
        stages = reproduce.unaffected(reproduce.runnable(pipeline), missing)
        ran = reproduce.run(root, stages, packages, folder / "cache", log)
        for result in reproduce.compare(pipeline, root, ran, allowed):
            results.append(result)
            if not arguments.json:
                print("\n".join(_describe(result)), flush=True)
    finally:
        equal = bool(results) and not missing and all(result.equal for result in results)
        near = bool(results) and not missing and all(result.near for result in results)
        if equal or not (folder / "log").exists():
            shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        print(
            json.dumps(
                {
                    "commit": commit,
                    "machine": {"host": machine.host(), "processor": machine.processor()},
                    "tolerance": str(allowed),
                    "equal": equal,
                    "within": near,
                    "missing": missing,
                    "installed": arguments.installed,
                    "packages": {name: {"here": old, "there": new} for name, (old, new) in packages.changed.items()},
                    "stages": [asdict(one) for one in results],
                },
                indent=2,
            )
        )
    else:
        print(_verdict(results, equal, folder, allowed) if results else _why_nothing(missing))
    return 0 if equal else WITHIN if near else 1


def _changed(root: Path) -> list[str]:
    """The files under git's care that the workspace has otherwise than the commit."""
    return (git.output_or_none(root, "diff", "--name-only", "HEAD") or "").splitlines()


def _why_nothing(missing: dict[str, str]) -> str:
    if missing:
        return "Nothing ran: each stage needs what can't be had."
    return "Nothing ran: the commit's dvc.lock has no stage. Run `dvc repro`, and commit dvc.lock."


def _describe(result: reproduce.StageComparison) -> list[str]:
    lines = [f"{result.stage}: {result.why}" if result.why else result.stage]
    for out in result.outs:
        if out.equal:
            lines.append(f"  equal   {out.path}  {short_md5(out.made)}")
        elif out.made:
            verdict = "within " if out.within else "differs"
            lines.append(f"  {verdict} {out.path}  {short_md5(out.committed)} → {short_md5(out.made)}")
            lines += (f"          {name}: {difference}" for name, difference in out.files.items())
    return lines


def _verdict(results: list[reproduce.StageComparison], equal: bool, folder: Path, allowed: Tolerance) -> str:
    outs = [out for result in results for out in result.outs]
    stages = f"{len(results)} stage{'s' if len(results) != 1 else ''}"
    if equal:
        return f"{stages}, {len(outs)} output{'s' if len(outs) != 1 else ''}: all equal to the byte."
    same = sum(out.equal for out in outs)
    near = f", {sum(out.within for out in outs)} within {allowed}" if allowed != EXACT else ""
    return (
        f"{stages}, {same} of {len(outs)} outputs equal{near}. "
        f"The clone is in {folder}/clone, what the stages printed in {folder}/log."
    )
