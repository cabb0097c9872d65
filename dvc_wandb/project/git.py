"""What this package asks git itself, where DVC's own view of the repository doesn't tell it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dvc_wandb.errors import WrongProject


def output_or_none(folder: Path, *arguments: str) -> str | None:
    """What git prints in `folder`; None where it refuses: there is no repository, no such commit, no git."""
    done = _run(folder, arguments)
    return None if done is None or done.returncode else done.stdout.rstrip("\n")


def output(folder: Path, *arguments: str, failing: str) -> str:
    """What git prints in `folder`; raises WrongProject with `failing` and git's own reason where it refuses."""
    done = _run(folder, arguments)
    if done is None:
        raise WrongProject(f"{failing}: there is no program called git here. Install it.")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["git says nothing"]
        reason = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
        raise WrongProject(f"{failing}: {reason.removeprefix('fatal: ').rstrip('.')}.")
    return done.stdout.rstrip("\n")


def _run(folder: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
