"""Runs git commands, for what DVC's API doesn't tell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

from dvc_wandb.errors import ProjectError


def output_or_none(folder: Path, *arguments: str, stdin: str = "") -> str | None:
    """The output of git in `folder`; None if it fails: no repository, no such commit, no git."""
    process = _run(folder, arguments, stdin)
    return None if process is None or process.returncode else process.stdout.rstrip("\n")


def output(
    folder: Path, *arguments: str, failure: str, stdin: str = "", environment: dict[str, str] | None = None
) -> str:
    """The output of git in `folder`. If it fails, raises ProjectError with `failure` and git's reason."""
    process = _run(folder, arguments, stdin, environment=environment)
    if process is None:
        raise ProjectError(f"{failure}: there is no program called git here. Install it.")
    if process.returncode:
        lines = process.stderr.strip().splitlines() or ["git says nothing"]
        reason = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
        raise ProjectError(f"{failure}: {reason.removeprefix('fatal: ').rstrip('.')}.")
    return process.stdout.rstrip("\n")


def pathspec(path: str) -> str:
    """A path as it is typed for git, which would take some for patterns, and overwrite what else fits them."""
    is_pattern = path.startswith(":") or any(letter in path for letter in "*?[\\")
    return shlex.quote(f":(literal){path}" if is_pattern else path)


def file_at(folder: Path, commit: str, path: str) -> bytes | None:
    """The bytes of the file `path` in `folder` at a commit; None where it has none."""
    return bytes_or_none(folder, "show", f"{commit}:./{path}")


def remote_url(folder: Path) -> str | None:
    """Where the repository can be cloned from, without a password; None where no other machine could."""
    url = re.sub(r"(?<=//)[^/@]*@", "", output_or_none(folder, "config", "--get", "remote.origin.url") or "")
    return url if re.match(r"(https?|ssh|git)://", url) else None


def bytes_or_none(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes | None:
    """The output of git in `folder` as bytes; None if it fails."""
    process = _run(folder, arguments, stdin)
    return None if process is None or process.returncode else process.stdout


def _run(
    folder: Path, arguments: tuple[str, ...], stdin: str | bytes, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[Any] | None:
    """Its output is text or bytes, as `stdin` is."""
    how: dict[str, Any] = {"text": True, "errors": "replace"} if isinstance(stdin, str) else {}
    variables = {**os.environ, **(environment or {})}
    try:
        return subprocess.run(
            ["git", *arguments], cwd=folder, env=variables, input=stdin, capture_output=True, check=False, **how
        )
    except FileNotFoundError:
        return None
