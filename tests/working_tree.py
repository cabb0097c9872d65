"""This repository's working tree, as git would commit it, and what commands need to run in a copy of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent  # `dvc` and `python` of the environment that runs this


def files(*paths: str) -> list[str]:
    """The files beneath `paths`, or all, that are committed or could be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *paths]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def copy(folder: Path, *paths: str) -> Path:
    """Copy those files into `folder`."""
    for name in files(*paths):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def take_interrupts() -> None:
    """As `preexec_fn` of a process: Ctrl-C reaches it. Where a shell runs the tests with & it would be ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def environment(home: Path) -> dict[str, str]:
    """The environment of somebody who has a `home` of their own, a name in git, and nothing else set.

    DVC asks nobody for updates and reports nothing: each command would start two processes for that. Bytecode is kept,
    as in the Makefile: each command would compile DVC and TensorFlow again.
    """
    config = home / ".config/dvc/config"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("[core]\n    analytics = false\n    check_update = false\n")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WANDB_", "DVC_", "REGISTRY_", "GIT_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    names = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    own = {"HOME": str(home), "DVC_GLOBAL_CONFIG_DIR": str(config.parent)}
    return {**kept, **names, **own, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
