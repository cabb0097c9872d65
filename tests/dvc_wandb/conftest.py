"""A foreign DVC project, run and mirrored once, and the SDK's own view of its registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BIN, ROOT, Clone
from tests.dvc_wandb import foreign
from wandb_registry import daemon


def project_in(path: Path) -> Clone:
    """An empty folder with a home of its own, where `dvc-wandb` is found though nothing is installed."""
    path.mkdir(parents=True)
    home = path.parent / f"{path.name}-home"
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "DVC_", "REGISTRY_", "GIT_"))}
    names = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    own = {"HOME": str(home), "PYTHONPATH": str(ROOT), "REGISTRY_IDLE_SECONDS": "120"}
    return Clone(path, {**kept, **names, **own, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"})


@pytest.fixture(scope="session")
def foreign_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """The project with all the shapes, mirrored. Tests only read it, or put back what they change."""
    project = project_in(tmp_path_factory.mktemp("foreign") / "project")
    web = foreign.Web()
    try:
        foreign.make(project, web.url)
        project.said["mirror"] = project.run("dvc-wandb", "mirror")
        yield project
    finally:
        web.close()
        daemon.stop(project.path / ".registry")


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A project with a past of three commits and no registry. Tests only read it, or put back what they change."""
    from tests.dvc_wandb import small

    project = small.make(tmp_path_factory.mktemp("history") / "project")
    yield project
    daemon.stop(project.path / ".registry")
