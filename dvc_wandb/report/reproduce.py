"""Runs a commit again on nothing: a clone in a temporary folder, DVC's cache empty, and compares what it makes.

What no stage makes is brought there: git's files by the clone, what `dvc add` and imports keep from where it is at
hand. What is nowhere stops only the stages that need it. The registry is left out. The workspace is not touched.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dvc_wandb.errors import DvcWandbError, error_reason
from dvc_wandb.project import git
from dvc_wandb.project.files import copy_to
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.packages.environment import Environment
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.report import file_differences
from dvc_wandb.report.tolerance import EXACT, Tolerance


@dataclass(frozen=True)
class OutComparison:
    """An out that was made again: the md5s of both, and for each file that differs how far the two are apart.

    `within` a tolerance, it has other bytes that are near enough. `largest` is the largest absolute difference of
    numbers in its files; None where it differs in more than numbers, or not at all.
    """

    path: str
    committed: str | None
    made: str | None
    files: dict[str, str] = field(default_factory=dict)
    within: bool = False
    largest: float | None = None

    @property
    def equal(self) -> bool:
        return self.committed == self.made


@dataclass(frozen=True)
class StageComparison:
    """A stage that should have run, and its outs; `why` says why it didn't."""

    stage: str
    outs: list[OutComparison]
    why: str = ""

    @property
    def equal(self) -> bool:
        return not self.why and all(out.equal for out in self.outs)

    @property
    def near(self) -> bool:
        """Whether it is equal, or within the tolerance."""
        return not self.why and all(out.equal or out.within for out in self.outs)


def clone(pipeline: Pipeline, folder: Path) -> Path:
    """The project in a clone, in `folder`, of the commit that `pipeline` is read at."""
    top = Path(_git(pipeline.root, "rev-parse", "--show-toplevel"))
    _git(top, "clone", "--quiet", "--no-local", "--no-checkout", str(top), str(folder / "clone"))
    _git(folder / "clone", "-c", "advice.detachedHead=false", "checkout", "--quiet", str(pipeline.commit))
    if (folder / "clone/.gitmodules").exists():
        _git(folder / "clone", "submodule", "--quiet", "update", "--init", "--recursive")
    return folder / "clone" / pipeline.root.resolve().relative_to(top.resolve())


def bring_added_or_imported(pipeline: Pipeline, root: Path) -> dict[str, str]:
    """Copy what no stage makes and git lacks into the clone at `root`; by path, why one of them can't be had."""
    missing = {}
    for content in _added_or_imported(pipeline):
        try:
            copy_to(root, content, pipeline.files(content))
        except DvcWandbError as error:
            missing[content.path] = error_reason(error)
    return missing


def run(root: Path, executions: list[Execution], environment: Environment, cache: Path, log: Path) -> set[str]:
    """Run the stages of `executions` in the clone at `root`, in an `environment` with an empty `cache`.

    What they print goes to `log`. Returns the stages that came to their end, on what those upstream of them made. DVC
    itself is always the one that is here. It is given each stage by name: forced to run all, it would ask the sources
    of imports.
    """
    if not executions:
        return set()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "WANDB_", "REGISTRY_", "GIT_"))}
    folders = dict.fromkeys(str(python.parent) for python in (environment.python, Path(sys.executable)))
    path = os.pathsep.join([*folders, os.environ.get("PATH", "")])
    own = {"PATH": path, "VIRTUAL_ENV": str(environment.python.parent.parent)}
    env = {**inherited, **own, "WANDB_MODE": "disabled", "PYTHONUNBUFFERED": "1"}
    dvc = [sys.executable, "-P", "-m", "dvc"]
    subprocess.run(
        [*dvc, "config", "--local", "cache.dir", str(cache)], cwd=root, env=env, capture_output=True, check=True
    )
    ran: set[str] = set()
    with log.open("w") as log_lines:
        stages = [one.stage for one in executions]
        command = [*dvc, "repro", "--force", "--keep-going", "--single-item", *stages]
        process = subprocess.Popen(
            command,
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout
        for line in process.stdout:
            log_lines.write(line)
            if line.startswith("Running stage '"):
                ran.add(line.split("'")[1])
                print(line.rstrip(":\n"), file=sys.stderr, flush=True)
            elif "failed to reproduce" in line:
                ran -= set(re.findall(r"'(.+?)'", line))
        process.wait()
    lost = {out.path for one in executions if one.stage not in ran for out in one.outs}
    return ran & {one.stage for one in unaffected(executions, lost)}  # DVC runs others too, on what git has


def unaffected(executions: list[Execution], lost: Iterable[str]) -> list[Execution]:
    """Those of `executions`, given upstream first, that need nothing of the paths that are `lost`."""
    gone, kept = set(lost), []
    for execution in executions:
        if gone.isdisjoint(one.versioned.path for one in execution.reads):
            kept.append(execution)
        else:
            gone |= {out.path for out in execution.outs}
    return kept


def compare(pipeline: Pipeline, root: Path, ran: set[str], tolerance: Tolerance = EXACT) -> Iterator[StageComparison]:
    """Each stage of `pipeline` against what the clone at `root` made of it, upstream first."""
    reproduced = Pipeline(root)
    for execution in runnable(pipeline):
        made = reproduced.workspace_execution(execution.stage)
        reason = "" if execution.stage in ran else "it did not run to its end"
        outs = [_compare_out(pipeline, reproduced, out, made.out(out.path), tolerance) for out in execution.outs]
        missing = [out.path for out in outs if out.made is None]
        yield StageComparison(execution.stage, outs, reason or (f"it made no {', '.join(missing)}" if missing else ""))


def _compare_out(
    pipeline: Pipeline, reproduced: Pipeline, committed: Content, made: Content, tolerance: Tolerance
) -> OutComparison:
    if committed.md5 == made.md5 or made.md5 is None:
        return OutComparison(committed.path, committed.md5, made.md5)
    try:
        old, new = pipeline.files(committed), reproduced.files(made)
        before, after = pipeline.listing(committed) or {}, reproduced.listing(made) or {}
    except DvcWandbError as error:
        return OutComparison(committed.path, committed.md5, made.md5, {committed.path: error_reason(error)})
    differences = {
        name: file_differences.describe(name, old[name], new[name])
        for name in sorted(old.keys() & new.keys())
        if before[name] != after[name]
    }
    files = {name: one.phrase for name, one in differences.items()}
    files |= dict.fromkeys(sorted(old.keys() - new.keys()), "was not made again")
    files |= dict.fromkeys(sorted(new.keys() - old.keys()), "was not there before")
    same_names = old.keys() == new.keys()
    within = same_names and all(tolerance.allows(name, one) for name, one in differences.items())
    largest = max((one.distance for one in differences.values()), default=math.inf) if same_names else math.inf
    known = largest if math.isfinite(largest) else None
    return OutComparison(committed.path, committed.md5, made.md5, files, within, known)


def runnable(pipeline: Pipeline, *targets: str) -> list[Execution]:
    """What has a command, all or up to `targets`: imports stay as they are until somebody updates them."""
    return [one for one in pipeline.locked(*targets) if not one.stage.endswith(".dvc")]


def _added_or_imported(pipeline: Pipeline) -> list[Content]:
    """What DVC keeps and no command makes: added by hand, or imported."""
    imported = [out for one in pipeline.locked() if one.stage.endswith(".dvc") for out in one.outs]
    return [*pipeline.added(), *imported]


def _git(folder: Path, *arguments: str) -> str:
    return git.output(folder, *arguments, failure="the commit can't be cloned")
