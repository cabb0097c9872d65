"""Versions of packages, from the lock files of seven packagers and of PEP 751."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.packages import package_locks

TOML = '[[package]]\nname = "numpy"\nversion = "2.4.6"\n\n[[package]]\nname = "uvicorn"\nversion = "0.40"\n'
REQUIREMENTS = """
# a lock
NumPy==2.4.6 \\
    --hash=sha256:00
uvicorn[standard] == 0.40 ; python_version > '3'
flask>=3
"""
PIPFILE = """
{"default": {"numpy": {"version": "==2.4.6"}, "uvicorn": {"version": "==0.40"}, "own": {"path": "."}}}
"""
PIXI = """
version: 6
packages:
- conda: https://conda.anaconda.org/c/linux-64/numpy-2.4.6-py311_0.conda
- {pypi: "https://files/uvicorn-0.40-py3-none-any.whl", name: uvicorn, version: "0.40"}
"""
ENVIRONMENT = """
name: small
channels: [conda-forge]
dependencies: [python>=3.9, flask=3.*, "scipy>1,<2", conda-forge::numpy=2.4.6=py311_0, pip: [uvicorn==0.40, own>=1]]
"""
PYLOCK = """
lock-version = "1.0"
packages = [
    {name = "numpy", version = "2.4.6"}, {name = "uvicorn", version = "0.40"}, {name = "own", directory = {path = "."}},
    {name = "forked", version = "1", vcs = {type = "git", url = "https://x/forked", commit-id = "0"}},
]
"""
LOCKS = {
    "requirements.txt": REQUIREMENTS,
    "pylock.toml": PYLOCK,
    "uv.lock": TOML,
    "poetry.lock": TOML,
    "Pipfile.lock": PIPFILE,
    "conda-lock.yml": "package:\n- {name: numpy, version: 2.4.6}\n- {name: uvicorn, version: '0.40'}\n",
    "pixi.lock": PIXI,
    "environment.yml": ENVIRONMENT,
}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_tells_the_versions_of_its_packages(tmp_path: Path, name: str):
    (tmp_path / name).write_text(LOCKS[name])
    assert package_locks.find(tmp_path) == tmp_path / name
    assert package_locks.read(tmp_path / name) == {"numpy": "2.4.6", "uvicorn": "0.40"}


SHA = f"sha256:{'1' * 64}"
HASHED = {
    "requirements.txt": f"a==1 ; python_version > '3' \\\n    --hash={SHA}\n",
    "uv.lock": f'[[package]]\nname = "a"\nversion = "1"\nwheels = [{{ url = "https://x/a", hash = "{SHA}" }}]\n',
    "pylock.toml": '[[packages]]\nname = "a"\nversion = "1"\nwheels = '
    f'[{{ hashes = {{ sha256 = "{SHA[7:]}", md5 = "0" }} }}]\n',
    "poetry.lock": f'[[package]]\nname = "a"\nversion = "1"\nfiles = [{{ file = "a", hash = "{SHA}" }}]\n',
    "Pipfile.lock": f'{{"default": {{"a": {{"version": "==1", "hashes": ["{SHA}"]}}}}}}',
    "pixi.lock": f"packages:\n- {{pypi: 'https://x/a', name: a, version: '1', sha256: '{SHA[7:]}'}}\n",
    "conda-lock.yml": f"package:\n- {{name: a, version: '1', manager: pip, hash: {{sha256: '{SHA[7:]}'}}}}\n",
}


@pytest.mark.parametrize("name", HASHED)
def test_a_lock_tells_the_hashes_of_its_packages(name: str):
    (pin,) = package_locks.parse(name, HASHED[name])
    assert (pin.url, pin.hashes) == ("pkg:pypi/a@1", (SHA,))


OLDER_PIXI = """
version: 5
environments: {default: {packages: {linux-64: [{conda: "https://c/linux-64/a-1-0.conda"}]}}}
packages:
- {kind: conda, name: a, version: "1", url: "https://c/linux-64/a-1-0.conda", sha256: "11"}
- {kind: pypi, name: b, version: "2", url: "https://files/b-2-py3-none-any.whl", sha256: "22"}
- {kind: pypi, name: own, version: "0.1", url: ., path: .}
"""


def test_older_files_of_pixi_name_who_has_a_package():
    urls = [pin.url for pin in package_locks.parse("pixi.lock", OLDER_PIXI)]
    assert urls == ["pkg:conda/a@1", "pkg:pypi/b@2"]


def test_a_conda_package_is_named_as_condas():
    (pin,) = package_locks.parse("pixi.lock", "packages:\n- conda: https://c/linux-64/numpy-2.4.6-py311_0.conda\n")
    assert pin.url == "pkg:conda/numpy@2.4.6"


def test_several_versions_of_a_package_are_all_told(tmp_path: Path):
    (tmp_path / "requirements.txt").write_text("a==1 ; sys_platform == 'x'\na==2 ; sys_platform != 'x'\n")
    assert package_locks.read(tmp_path / "requirements.txt") == {"a": "1 or 2"}


def test_the_packagers_own_file_counts_before_pylock_and_that_before_requirements(tmp_path: Path):
    for name in ("requirements.txt", "pylock.toml", "uv.lock"):
        (tmp_path / name).touch()
        assert package_locks.find(tmp_path) == tmp_path / name


def test_names_are_those_that_pypi_compares(tmp_path: Path):
    (tmp_path / "requirements.txt").write_text("Ruamel.yaml_X==1\n")
    assert package_locks.read(tmp_path / "requirements.txt") == {"ruamel-yaml-x": "1"}


@pytest.mark.parametrize(
    "name", ["uv.lock", "pylock.toml", "Pipfile.lock", "pixi.lock", "conda-lock.yml", "environment.yml"]
)
def test_what_is_no_lock_is_told(tmp_path: Path, name: str):
    (tmp_path / name).write_text("[")
    with pytest.raises(ProjectError, match=f"{name} can't be read as a lock file"):
        package_locks.read(tmp_path / name)
