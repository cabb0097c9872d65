"""The packages of a commit's lock file, in an environment on top of this one."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.packages import environment, package_locks
from dvc_wandb.project.packages.environment import Environment
from dvc_wandb.project.packages.package_locks import PLATFORMS
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


DEFAULT = "'default' in dependency_groups"


def pylock(sha256: str, marker: str = "sys_platform != 'none'") -> str:
    """A pylock.toml that has the package of the wheels at 0.0.1, where the marker holds."""
    wheel = f'{{ name = "a.whl", hashes = {{ sha256 = "{sha256}" }} }}'
    where = f'name = {wheels.NAME!r}\nversion = \'0.0.1\'\nmarker = """{marker}"""'
    return f"lock-version = '1.0'\n[[packages]]\n{where}\nwheels = [{wheel}]\n"


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
    assert f"Installing 1 package ({wheels.NAME} 0.0.1, here {HERE}) into a temporary environment, as " in said
    assert "Installed in " in said
    words = f"import sys, {wheels.NAME} as one, dvc, dvc_wandb; print(one.__version__, sys.prefix)"
    done = subprocess.run([found.python, "-c", words], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["0.0.1", str(tmp_path / "environment")]
    assert metadata.version(wheels.NAME) == HERE


def test_a_pylock_beside_requirements_is_installed_from_where_these_say_by_its_hashes(tmp_path: Path):
    sha256 = wheels.make(tmp_path / "wheels").removeprefix("sha256:")
    requirements = f"--no-index\n--find-links wheels\n{wheels.NAME}\n"
    with pytest.raises(ProjectError, match=r"pylock.toml says can't be installed: .*(?i:hash)"):
        made(tmp_path, requirements_txt=requirements, pylock_toml=pylock("0" * 64))
    assert made(tmp_path, pylock_toml=pylock(sha256)).changed == {wheels.NAME: (HERE, "0.0.1")}


def test_what_pylock_has_for_an_extra_or_another_group_is_left_out(tmp_path: Path):
    """pdm marks each package with its groups."""
    here, other = pylock("0" * 64, f'{DEFAULT} and sys_platform != "none"'), pylock("0" * 64, "'x' in extras")
    groups = 'default-groups = ["default"]\n'
    assert made(tmp_path, pylock_toml=other) == Environment(Path(sys.executable))
    assert made(tmp_path, pylock_toml=here) == Environment(Path(sys.executable))
    with pytest.raises(ProjectError, match=r"pylock.toml says can't be installed"):
        made(tmp_path, requirements_txt="--no-index\n", pylock_toml=groups + here)


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


CONDA = {
    "conda-lock.yml": f"""
package:
- {{name: {wheels.NAME}, version: 0.0.1, manager: conda}}
- {{name: libgcc, version: 13.2.0, manager: conda}}
- {{name: pluggy, version: "{metadata.version("pluggy").rpartition(".")[0]}", manager: conda}}
""",
    "environment.yml": f"dependencies: [python>=3.9, {wheels.NAME}=0.0.1=pyhd8ed1ab_0, libgcc=13.2.0]\n",
    "pixi.lock": f"packages:\n- conda: https://c/noarch/{wheels.NAME}-0.0.1-py_0.conda\n",
}


@pytest.mark.parametrize("name", CONDA)
def test_condas_packages_are_told_and_left(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str):
    """Those of Python that are here, that is; libgcc is none, and to conda 1.6.0 is a 1.6."""
    (tmp_path / name).write_text(CONDA[name])
    assert environment.make(tmp_path, tmp_path / "environment") == Environment()
    said = capfd.readouterr().err
    assert f"{name} has other versions of 1 package ({wheels.NAME} 0.0.1, here {HERE}); neither uv nor pip" in said


MIXED = {
    "conda-lock.yml": """
package:
- {{name: libgcc, version: 13.2.0, manager: conda, platform: linux-64}}
- {{name: {name}, version: 0.0.2, manager: pip, platform: {elsewhere}, hash: {{sha256: {zeros}}}}}
- {{name: {name}, version: 0.0.1, manager: pip, platform: {here}, hash: {{sha256: {sha}}}}}
""",
    "pixi.lock": """
environments:
  default:
    packages:
      {elsewhere}: [{{pypi: 'https://x/two.whl'}}]
      {here}: [{{conda: 'https://c/libgcc-13.2.0-0.conda'}}, {{pypi: 'https://x/one.whl'}}, {{pypi: ./}}]
packages:
- {{conda: 'https://c/libgcc-13.2.0-0.conda'}}
- {{pypi: 'https://x/two.whl', name: {name}, version: 0.0.2, sha256: {zeros}}}
- {{pypi: 'https://x/one.whl', name: {name}, version: 0.0.1, sha256: {sha}}}
- {{pypi: ./, name: own, version: 0.1.0}}
""",
    "environment.yml": "dependencies: [libgcc=13.2.0=h_1, {{pip: ['{name}==0.0.1 --hash=sha256:{sha}']}}]\n",
}


@pytest.mark.parametrize("name", MIXED)
def test_pypis_packages_beside_condas_are_installed_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    sha256 = wheels.make(tmp_path / "wheels").removeprefix("sha256:")
    for variable in ("UV_FIND_LINKS", "PIP_FIND_LINKS"):
        monkeypatch.setenv(variable, str(tmp_path / "wheels"))
    here = next(one for one in PLATFORMS if Marker(package_locks._platform_marker([one])).evaluate())
    elsewhere = next(one for one in PLATFORMS if one != here)
    facts = {"name": wheels.NAME, "here": here, "elsewhere": elsewhere, "sha": sha256, "zeros": "0" * 64}
    (tmp_path / name).write_text(MIXED[name].format(**facts))
    found = environment.make(tmp_path, tmp_path / "environment")
    assert found.changed == {wheels.NAME: (HERE, "0.0.1")}
