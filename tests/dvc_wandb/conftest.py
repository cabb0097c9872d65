"""A foreign DVC project, run and mirrored once, and the SDK's own view of its registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import working_tree
from tests.conftest import Clone
from tests.dvc_wandb import foreign
from tests.working_tree import ROOT
from wandb_registry import daemon


def project_in(path: Path) -> Clone:
    """An empty folder with a home of its own, where `dvc-wandb` is found though nothing is installed."""
    path.mkdir(parents=True)
    home = path.parent / f"{path.name}-home"
    home.mkdir()
    own = {"PYTHONPATH": str(ROOT), "REGISTRY_IDLE_SECONDS": "120"}
    return Clone(path, {**working_tree.environment(home), **own})


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
