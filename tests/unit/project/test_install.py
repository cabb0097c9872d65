"""What uv is told of pip's configuration, where a company's index or certificates may be named; pip where uv fails."""

from __future__ import annotations

from pathlib import Path

import pytest

import install
from install import for_uv


def test_a_configuration_of_nothing_tells_nothing():
    assert for_uv("") == {}
    assert for_uv("global.user='true'\n:env:.disable-pip-version-check='1'\n") == {}


def test_indexes_folders_and_certificates_are_told():
    listed = r"""
global.cert='/etc/ssl/own.pem'
global.constraint='/etc/xdg/pip/constraints.txt'
global.extra-index-url='\nhttps://b/simple\nhttps://c/simple'
global.find-links='/opt/wheels /opt/more'
global.index-url='https://name:secret@a/simple'
global.proxy='http://proxy:3128'
global.trusted-host='a b'
"""
    assert for_uv(listed) == {
        "SSL_CERT_FILE": "/etc/ssl/own.pem",
        "UV_CONSTRAINT": "/etc/xdg/pip/constraints.txt",
        "UV_EXTRA_INDEX_URL": "https://b/simple https://c/simple",
        "UV_FIND_LINKS": "/opt/wheels,/opt/more",
        "UV_DEFAULT_INDEX": "https://name:secret@a/simple",
        "ALL_PROXY": "http://proxy:3128",
        "UV_INSECURE_HOST": "a b",
    }


def test_a_command_of_its_own_and_the_environment_come_before_the_rest():
    listed = """
:env:.default-timeout='180'
:env:.index-url='https://of-the-environment/simple'
global.index-url='https://of-all-commands/simple'
global.find-links='/of/all/commands'
install.find-links='/of/install'
install.index-url='https://of-install/simple'
"""
    assert for_uv(listed) == {
        "UV_DEFAULT_INDEX": "https://of-the-environment/simple",
        "UV_FIND_LINKS": "/of/install",
        "UV_HTTP_TIMEOUT": "180",
    }


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is first on the PATH, and a pip that writes down what it is asked for."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(install, "VENV", tmp_path / "venv")
    monkeypatch.setattr(install, "PIP", (program(tmp_path / "pip", f'echo "$@" >> {tmp_path}/asked'), "install"))
    return tmp_path


def program(path: Path, text: str, head: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{head}{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("head", ["#!/bin/sh\nexit 1\n", "\x7fELF of another machine"])
def test_a_uv_that_does_not_run_is_passed_over(commands: Path, head: str):
    program(commands / "uv", "", head)
    ours = program(commands / "venv/bin/uv", "true")
    assert install.find_uv() == str(ours)


def test_a_uv_that_is_not_to_be_had_leaves_all_to_pip(commands: Path, capsys: pytest.CaptureFixture[str]):
    program(commands / "uv", "exit 1")
    program(commands / "pip", f'echo "$@" >> {commands}/asked; case "$*" in *uv*) exit 1;; esac')
    uv = install.find_uv()
    assert uv is None
    install.install(uv, "-r", "requirements.txt")
    assert (commands / "asked").read_text().splitlines() == [
        "install --constraint requirements-dev.txt uv",
        "install -r requirements.txt",
    ]
    assert "there is none to be had; pip does the rest, in minutes" in capsys.readouterr().out


def test_where_uv_fails_pip_installs_the_same(commands: Path, capsys: pytest.CaptureFixture[str]):
    uv = program(commands / "uv", 'case "$1" in pip) echo "no such index" >&2; exit 2;; esac')
    assert install.find_uv() == str(uv)
    install.install(str(uv), "-r", "requirements.txt")
    assert (commands / "asked").read_text() == "install -r requirements.txt\n"
    assert "uv can't:\nno such index\nInstalling the same with pip" in capsys.readouterr().out


def test_where_pip_fails_too_its_status_is_ours(commands: Path):
    uv = program(commands / "uv", "exit 2")
    program(commands / "pip", "exit 7")
    with pytest.raises(SystemExit, match="7"):
        install.install(str(uv), "-r", "requirements.txt")
