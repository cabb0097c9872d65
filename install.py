"""Make .venv, and install locked packages into it: with uv, or with pip where uv can't. `make` runs this first.

    python3 install.py requirements.txt --project      with this folder's own packages, as links to it
    python3 install.py requirements-dev.txt

Standard library alone. Bytecode is left to the first import: compiling all of it takes longer than the pipeline. Only
Keras, with TensorFlow, is imported at once, in the background: `prepare`, which needs none of it, goes on meanwhile.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
PIP = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")

# What pip's configuration says, and the variable by which uv is told the same, with what stands between two values
FOR_UV = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make .venv, and install locked packages into it.")
    parser.add_argument("requirements", help="a file of locked versions")
    parser.add_argument("--project", action="store_true", help="install this folder's own packages as well")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    if not PYTHON.exists():
        refuse_other_pythons()
        make_venv()
    uv = find_uv()
    with step(arguments.requirements):
        install(uv, "-r", arguments.requirements)
    if arguments.project:
        begin_bytecode()
        with step("dvc-wandb and wandb-registry, as links to this folder"):
            install(uv, "--no-deps", "--no-build-isolation", "--editable", ".")


def refuse_other_pythons() -> None:
    here = sys.version_info[:2]
    if not (3, 11) <= here < (3, 14):
        sys.exit(
            f"This needs Python 3.11 (3.12 and 3.13 are untried); {sys.executable} is {here[0]}.{here[1]}. "
            "Name another one: make PYTHON=python3.11"
        )


def make_venv() -> None:
    with step(f".venv with Python {sys.version.split()[0]}"):
        try:
            run(sys.executable, "-m", "venv", VENV)
        except BaseException:  # half a one would be taken for a whole one
            shutil.rmtree(VENV, ignore_errors=True)
            raise


@contextmanager
def step(what: str):
    """A line that says what is being done, then how long it took."""
    began = time.monotonic()
    print(f"Installing {what} … ", end="", flush=True)
    yield
    print(f"{time.monotonic() - began:.0f} s", flush=True)


def find_uv() -> str | None:
    """The command `uv`: this machine's, else one that pip installs into .venv; None where there is none to be had."""
    for found in (shutil.which("uv"), shutil.which("uv", path=VENV / "bin")):
        if found and works(found, "--version"):
            return found
    with step("uv"):
        if works(*PIP, "--constraint", "requirements-dev.txt", "uv"):
            return str(VENV / "bin/uv")
        print("there is none to be had; pip does the rest, in minutes … ", end="", flush=True)
        return None


def install(uv: str | None, *what: str) -> None:
    """Hand `what` to `uv pip install`; where that fails, to pip, whose own message then counts."""
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", PYTHON, *what]
        done = subprocess.run(command, env=uv_environment(), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        print(f"uv can't:\n{done.stderr.rstrip()}\nInstalling the same with pip … ", end="", flush=True)
    run(*PIP, *what)


def begin_bytecode() -> None:
    """Import Keras in a process of its own, which nobody waits for: Python keeps the bytecode that this takes."""
    nowhere = subprocess.DEVNULL
    command = [PYTHON, "-c", "from stages.determinism import keras_for; keras_for(seed=0)"]
    subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)


def uv_environment() -> dict[str, str]:
    """The environment in which uv finds what pip would: in all indexes alike, by the system's certificates.

    What a person's own environment says of uv comes first.
    """
    pip = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    own = {name: value for name, value in os.environ.items() if name != "UV_SYSTEM_PYTHON"}
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_SYSTEM_CERTS": "1", **for_uv(pip.stdout), **own}


def for_uv(listed: str) -> dict[str, str]:
    """What `pip config list` printed, as uv's variables; of a value in several sections, the one that pip takes."""
    found: dict[str, str] = {}
    lines = [line.partition("=") for line in listed.splitlines()]
    for wanted in ("global", "install", ":env:"):
        for name, _, value in lines:
            section, _, key = name.rpartition(".")
            if section == wanted and key in FOR_UV:
                variable, between = FOR_UV[key]
                found[variable] = between.join(ast.literal_eval(value).split())
    return found


def works(*command: object) -> bool:
    try:
        return subprocess.run([str(one) for one in command], capture_output=True, check=False).returncode == 0
    except OSError:  # such as a program for another machine
        return False


def run(*command: object) -> None:
    """Run a command; where it fails, this ends with its exit status, below its own message."""
    done = subprocess.run([str(one) for one in command], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
