"""Whether our edges are those of `dvc dag`, on public DVC projects.

    python -m benchmarks.public_projects [--clones FOLDER] [OWNER/NAME …]

Each project is cloned from GitHub, or from FOLDER/OWNER+NAME/repo. No remote is asked: outs and deps that git lacks are
made up and locked. Then `dvc-wandb mirror` runs. A line tells how many edges DVC's graph has, how many `show` draws and
how many the registry holds. Edges that differ follow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc_wandb.client.connection import connect
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name
from dvc_wandb.sync.mirrored_project import MirroredProject
from tests import working_tree
from tests.working_tree import ROOT

Edge = tuple[str, str]  # a stage, and the stage or .dvc file whose out it reads

PROJECTS = (
    "iterative/example-get-started",
    "iterative/example-get-started-experiments",
    "iterative/dataset-registry",
    "iterative/dvc-bench",
    "113578/ableton-live-rag",
    "092914rkumar/vc-emotion-detection",
    "1803063soumit/CBAM-Enhanced-Collaborative-Network",
    "007Vd/ml_pipeline",
    "01shriyansh/wineq_dvc",
    "10points/Chicken-disease-classification",
    "10tanmay100/DEEPCNNCLASSIFIER",
    "15y-pankaj/yt-comment-sentiment-analysis",
    "18kimn/asmr",
    "1BaEdeV/wildlife-identification-kamchatka",
    "iterative/demo-bank-customer-churn",
    "PIReTship/bookdata-tools",
    "CCRI-POPROX/poprox-recommender",
    "BlueBrain/atlas-annotation",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="*", default=PROJECTS, metavar="OWNER/NAME")
    parser.add_argument("--clones", type=Path, metavar="FOLDER", help="where clones are already")
    arguments = parser.parse_args()
    differ = False
    print(f"{'project':<52} {'dvc dag':>8} {'show':>8} {'registry':>8}")
    for name in arguments.projects:
        source = f"https://github.com/{name}.git"
        if arguments.clones:
            source = str(arguments.clones / name.replace("/", "+") / "repo")
        with tempfile.TemporaryDirectory(prefix="public-") as folder:
            for label, edges in _compare(name, source, Path(folder)):
                wanted, *ours = edges
                print(f"{label:<52} {len(wanted):>8} {len(ours[0]):>8} {len(ours[1]):>8}", flush=True)
                for other in ours:
                    for reader, maker in sorted(wanted ^ other):
                        print(f"    {'missing' if (reader, maker) in wanted else 'extra'}: {reader} <- {maker}")
                        differ = True
    return 1 if differ else 0


def _compare(name: str, source: str, folder: Path) -> Iterator[tuple[str, tuple[set[Edge], set[Edge], set[Edge]]]]:
    """The edges of DVC, ours, and the registry's, for each DVC project in the repository."""
    clone, env = folder / "clone", {**working_tree.environment(folder), "PYTHONPATH": str(ROOT)}
    os.environ.update(env)
    if reason := _run(folder, "git", "clone", "--quiet", source, str(clone)):
        print(f"{name}: {reason.splitlines()[0]}", flush=True)  # a snapshot may lack large files: the rest is there
    for found in sorted(clone.rglob(".dvc")):
        root = found.parent
        if found.is_dir() and "site-packages" not in found.parts:
            inside = root.relative_to(clone).as_posix()
            yield (name if inside == "." else f"{name}/{inside}"), _edges(root)


def _edges(root: Path) -> tuple[set[Edge], set[Edge], set[Edge]]:
    _make_up(root)
    if reason := _run(root, sys.executable, "-m", "dvc_wandb", "mirror"):
        print(f"    mirror: {reason}", flush=True)
    pipeline = Pipeline(root)
    executions = pipeline.locked()
    connection = connect(root, project_name(root), sdk=False)
    try:
        return (
            _dvc_edges(pipeline),
            _shown_edges(pipeline, executions),
            _registry_edges(pipeline, executions, MirroredProject(connection)),
        )
    finally:
        _run(root, sys.executable, "-m", "wandb_registry", "stop")
        for key in ("WANDB_BASE_URL", "WANDB_API_KEY"):  # of the registry that has stopped
            os.environ.pop(key, None)


def _make_up(root: Path) -> None:
    """Write what is missing of outs and deps, and lock it, as `dvc commit` does; an import's source stays locked."""
    (root / ".dvc/config.local").write_text("[core]\n    remote = empty\n['remote \"empty\"']\n    url = tmp/empty\n")
    pipeline = Pipeline(root)
    for entry in [*pipeline.dvc.outs.values(), *pipeline.dvc.deps()]:
        path = root / pipeline.dvc.path(entry)
        if not pipeline.dvc.is_inside(entry) or path.exists() or pipeline.dvc.outs_in(pipeline.dvc.path(entry)):
            continue
        if _is_folder(entry, path):
            path.mkdir(parents=True)
            path /= "made-up"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path.name}\n")
    with pipeline.dvc.repo.lock:
        # a .dvc file may lie in a folder that a stage reads, so it is written before that folder is hashed
        for stage in sorted(pipeline.dvc.repo.index.stages, key=lambda one: not one.path.endswith(".dvc")):
            if not stage.is_import:
                stage.save_deps(allow_missing=True)
            stage.save_outs(allow_missing=True)
            for out in stage.outs:
                if out.use_cache and out.exists:
                    out.commit()
            stage.dump(update_pipeline=False)


def _is_folder(entry: Any, path: Path) -> bool:
    md5 = entry.hash_info.value if entry.hash_info else None
    return str(md5).endswith(".dir") if md5 else not path.suffix


def _dvc_edges(pipeline: Pipeline) -> set[Edge]:
    address = pipeline.dvc.address
    return {(address(reader), address(maker)) for reader, maker in pipeline.dvc.repo.index.graph.edges}


def _shown_edges(pipeline: Pipeline, executions: list[Execution]) -> set[Edge]:
    makers = {path: pipeline.dvc.address(out.stage) for path, out in pipeline.dvc.outs.items()}
    read = ((one.stage, content.versioned.path) for one in executions for content in one.reads)
    return {(reader, makers[path]) for reader, path in read if path in makers}


def _registry_edges(pipeline: Pipeline, executions: list[Execution], registry: MirroredProject) -> set[Edge]:
    contents = [out for one in executions for out in one.outs] + pipeline.added()
    makers = {one.artifact: pipeline.dvc.address(pipeline.dvc.outs[one.path].stage) for one in contents}
    used = ((one.stage, name) for one in executions for run in registry.runs(one) for name in run.inputs.values())
    collections = ((reader, name.rpartition(":")[0]) for reader, name in used)
    return {(reader, makers[collection]) for reader, collection in collections if collection in makers}


def _run(folder: Path, *command: str) -> str:
    """Run a command; what it said if it failed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    return "\n        ".join(done.stderr.strip().splitlines()) or f"exit {done.returncode}" if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
