"""What `dvc repro` would look at, in its order, and what each stage waits for. It reads DVC's objects, as project/."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc_wandb.errors import ProjectError
from dvc_wandb.parallel import resources
from dvc_wandb.parallel.resources import Resources
from dvc_wandb.project import dvc_errors
from dvc_wandb.project.dvc_project import DvcProject


@dataclass(frozen=True)
class PlannedStage:
    """A stage, or a .dvc file. It can't run without `needs`; it also waits for those in `after`.

    A frozen stage needs none of those that make its deps, but DVC reads these deps and refuses to while they are made.
    """

    name: str
    target: str  # as DVC takes it in the root of the project
    needs: frozenset[str]
    after: frozenset[str]
    reads_outs_folder: bool = False  # whether a dep is a folder around outputs
    persists: bool = False  # whether it goes on with an earlier output
    resources: Resources = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Plan:
    """The stages to look at, and where all stages of the project write, both in the order of a serial run."""

    root: Path
    stages: tuple[PlannedStage, ...]
    locks: dict[Path, list[str]]  # the entries of each dvc.lock
    outs: list[Path]

    def ignored_path(self, gitignore: Path, line: str) -> Path:
        """The path that a line of a .gitignore means, if DVC wrote it."""
        return gitignore.parent / re.sub(r"\\(.)", r"\1", line.strip()).removeprefix("/")


def make(root: Path, targets: list[str], all_pipelines: bool) -> Plan:
    """The plan for `targets`, or by default the stages of dvc.yaml in the current folder, and all upstream of them.

    Raises ProjectError if DVC can't read the project or doesn't know a target.
    """
    from dvc.exceptions import DvcException
    from dvc.repo.reproduce import collect_stages, get_active_graph, get_subgraph, plan_repro

    project = DvcProject(root)
    try:
        graph = project.repo.index.graph
        active = get_active_graph(graph)
        wanted = None if all_pipelines else collect_stages(project.repo, targets or ["dvc.yaml"])
        selected = set(get_subgraph(active, wanted))
        # The whole graph, filtered: that of some targets has no certain order in DVC
        order = plan_repro(active)
    except DvcException as error:
        raise ProjectError(f"{dvc_errors.reason(error)}.") from None
    finally:
        project.repo.close()
    locks: dict[Path, list[str]] = {}
    for stage in order:
        if hasattr(stage, "name"):
            locks.setdefault(Path(stage.path).with_name("dvc.lock"), []).append(stage.name)

    default = resources.defaults(root)

    def names(stages: Any) -> frozenset[str]:
        return frozenset(project.address(stage) for stage in stages if stage in selected)

    return Plan(
        root,
        tuple(
            PlannedStage(
                name=project.address(stage),
                target=_target(root, stage),
                needs=names(active.successors(stage)),
                after=names(graph.successors(stage)),
                reads_outs_folder=any(project.outs_in(project.path(dep)) for dep in stage.deps),
                persists=any(out.persist for out in stage.outs),
                resources=resources.of_stage(stage, project.address(stage), default),
            )
            for stage in order
            if stage in selected
        ),
        locks,
        [Path(out.fs_path) for stage in order for out in stage.outs if out.protocol == "local"],
    )


def _target(root: Path, stage: Any) -> str:
    """With the file's name always: a stage may be called as a file or folder is."""
    file = os.path.relpath(stage.path, root)
    return f"{file}:{stage.name}" if hasattr(stage, "name") else file
