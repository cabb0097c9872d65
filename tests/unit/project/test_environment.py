"""The packages of a commit's lock file, in an environment on top of this one."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.packages import environment
from dvc_wandb.project.packages.environment import Environment
from tests import wheels

HERE = metadata.version(wheels.NAME)
UV_LOCK = f"""
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "{wheels.NAME}"
version = "{HERE}"
source = {{ registry = "https://pypi.org/simple" }}

[[package]]
name = "pywin32"
version = "311"
source = {{ registry = "https://pypi.org/simple" }}

[[package]]
name = "own"
version = "0.1"
source = {{ virtual = "." }}
dependencies = [
    {{ name = "{wheels.NAME}" }},
    {{ name = "pywin32", marker = "sys_platform == 'win32'" }},
]

[package.metadata]
requires-dist = [
    {{ name = "{wheels.NAME}" }},
    {{ name = "pywin32", marker = "sys_platform == 'win32'" }},
]
"""


def made(root: Path, **files: str) -> Environment:
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text)
    return environment.make(root, root / "environment")


def test_what_differs_is_installed_and_all_else_is_that_of_this_environment(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    sha256 = wheels.make(tmp_path / "wheels")
    found = made(tmp_path, requirements_txt=wheels.lock("0.0.1", sha256))
    assert found.changed == {wheels.NAME: (HERE, "0.0.1")}
    said = capfd.readouterr().err
    assert (
        f"Installing 1 package as requirements.txt has them into a temporary environment: {wheels.NAME} 0.0.1" in said
    )
    assert "Installed in " in said
    words = f"import sys, {wheels.NAME} as one, dvc, dvc_wandb; print(one.__version__, sys.prefix)"
    done = subprocess.run([found.python, "-c", words], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["0.0.1", str(tmp_path / "environment")]
    assert metadata.version(wheels.NAME) == HERE


def test_a_command_of_another_package_runs_in_it_too(tmp_path: Path):
    found = made(tmp_path, requirements_txt=wheels.lock("0.0.1", wheels.make(tmp_path / "wheels")))
    assert str(found.python) in found.python.with_name("pytest").read_text()


@pytest.mark.slow
def test_pip_does_it_where_uv_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "nothing"))
    found = made(tmp_path, requirements_txt=wheels.lock("0.0.1", wheels.make(tmp_path / "wheels")))
    assert found.changed == {wheels.NAME: (HERE, "0.0.1")}


def test_another_hash_than_the_locks_is_refused(tmp_path: Path):
    wheels.make(tmp_path / "wheels")
    with pytest.raises(
        ProjectError, match=r"requirements.txt says can't be installed: .*`--installed` runs the stages"
    ):
        made(tmp_path, requirements_txt=wheels.lock("0.0.1", f"sha256:{'0' * 64}"))


@pytest.mark.parametrize(
    "text",
    ["", "flask>=3\n", f"{wheels.NAME}=={HERE}\n", "pywin32==1 ; sys_platform == 'win32'\n"],
    ids=["nothing", "no version", "what is here", "for another system"],
)
def test_nothing_is_made_where_nothing_differs(tmp_path: Path, text: str):
    assert made(tmp_path, requirements_txt=text) == Environment(Path(sys.executable))


def test_what_uv_locks_for_another_system_is_left_out(tmp_path: Path):
    """Only the edges between packages have the markers."""
    project = (
        f'[project]\nname = "own"\nversion = "0.1"\nrequires-python = ">=3.11"\ndependencies = [\n  "{wheels.NAME}",\n'
    )
    project += "  \"pywin32 ; sys_platform == 'win32'\",\n]\n"
    assert made(tmp_path, pyproject_toml=project, uv_lock=UV_LOCK) == Environment()


def test_poetrys_markers_count(tmp_path: Path):
    package = '[[package]]\nname = "pywin32"\nversion = "311"\ngroups = ["main"]\n'
    whole = made(tmp_path, poetry_lock=package + "markers = \"sys_platform == 'win32'\"\n")
    by_group = made(tmp_path, poetry_lock=package + "markers = {main = \"sys_platform == 'win32'\"}\n")
    assert whole == by_group == Environment()


def test_condas_packages_are_told_and_left(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    lock = f"package:\n- {{name: {wheels.NAME}, version: 0.0.1}}\n"
    (tmp_path / "conda-lock.yml").write_text(lock)
    assert made(tmp_path) == Environment()
    assert f"conda-lock.yml has other versions of 1 package than are installed ({wheels.NAME} 0.0.1, here" in (
        capfd.readouterr().err
    )
