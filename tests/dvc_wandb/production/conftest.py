"""The signed project, made once for all tests about it: tests/workers.py gives them to one worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dvc_wandb.production import signed
from tests.dvc_wandb.promoting import Project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A model in production, signed once; the statement lies beside the project, and so do the keys."""
    with signed.made(tmp_path_factory.mktemp("provenance")) as made:
        yield made


@pytest.fixture
def given(project: Project, tmp_path: Path) -> Path:
    """The model, its statement and its signature, as somebody gets them who has nothing else."""
    return signed.given_to(tmp_path, project)
