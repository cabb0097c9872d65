"""What `dvc-wandb` tells its users when something is wrong.

LineageError             one sentence: what happened, why, what to do; exit 1
├── NotAtHand            bytes that dvc.lock names are nowhere to be had
├── Damaged              bytes that are not what their md5 says
├── NotOfBytes           an md5 of DVC 2's, which is not that of the bytes
├── WrongProject         the DVC project itself can't be read, or lacks what was asked for
└── RegistryAway         the registry is down, unreachable, refuses, or is switched off
    ├── RegistryRefuses  it answers with an HTTP status that is no success
    └── RecorderGone     the process that mirrors the stages was killed
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class LineageError(Exception):
    """Base of what a user can meet; its text is the whole message."""


class WrongProject(LineageError):
    """dvc.yaml, dvc.lock or params.yaml can't be read, or a name isn't in them."""


class NotAtHand(LineageError):
    """Neither the workspace nor DVC's cache nor its remote holds a path as dvc.lock has it."""

    def __init__(self, path: str, in_git: bool, why: str) -> None:
        mend = f"`git checkout {path}`" if in_git else "`dvc pull` or `dvc repro`"
        super().__init__(
            f"neither the workspace nor DVC's cache holds {path} as dvc.lock has it, and {why}. {mend} brings it back."
        )


class Damaged(LineageError):
    """A file has other bytes than the md5 under which DVC keeps it."""

    def __init__(self, name: str, path: Path, md5: str) -> None:
        super().__init__(
            f"{name}: the bytes in {path} are not those of {md5}, which dvc.lock has. "
            "Remove that file; `dvc pull` or `dvc repro` brings it back."
        )


class NotOfBytes(LineageError):
    """DVC 2 hashed texts as if each line ended in a line feed alone; W&B hashes bytes."""

    def __init__(self, name: str, md5: str) -> None:
        super().__init__(
            f"{name}: {md5}, which dvc.lock has, is DVC 2's md5 of a text with other line ends, and not that of its "
            "bytes, which W&B has. `dvc cache migrate --dvc-files` writes the lock anew."
        )


class RegistryAway(LineageError):
    """Nothing can be mirrored now; DVC's side is complete without it."""


class RegistryRefuses(RegistryAway):
    """A registry answers with an HTTP `status` that is no success, such as 403."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(f"the registry at {url} answers with HTTP {status}{reason and f': {reason}'}")
        self.status = status


class RecorderGone(RegistryAway):
    """The stage goes on without its recorder."""

    def __init__(self, log: Path) -> None:
        super().__init__(f"the recorder is gone; {log} may say why.")


def not_mirrored(stage: str, why: str) -> str:
    """The one line that a stage costs that the registry does not have."""
    return f"{stage}: not mirrored: {why}. Its outputs are safe in DVC; `dvc-wandb mirror` makes it up."


def first_line(error: BaseException) -> str:
    """What the error says, on one line; its kind where it says nothing. DVC puts a reason after a colon on the next."""
    lines = (_answered(error) or str(error)).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def _answered(error: BaseException) -> str:
    """What the registry's refusal says, where the SDK tells its status and address alone."""
    try:
        return str(error.response.json()["error"])  # type: ignore[attr-defined]
    except (AttributeError, ValueError, KeyError, TypeError):
        return ""


def is_of_sdk(error: Exception) -> bool:
    """Whether the SDK says that the registry did not take something, or that its own settings are wrong."""
    return type(error).__module__.partition(".")[0] in ("wandb", "pydantic_core")


def in_a_sentence(error: Exception) -> str:
    """The error as a part of a sentence: one line, no full stop."""
    if type(error).__module__.startswith("pydantic_core"):
        return _wrong_setting(error)
    if is_of_sdk(error):
        return f"the registry did not take it: {first_line(error)}".rstrip(".")
    return (str(error) if isinstance(error, LineageError) else first_line(error)).rstrip(".")


def _wrong_setting(error: Any) -> str:
    """Which variable of the environment the SDK can't use, out of pydantic's error."""
    wrong = error.errors()[0]
    names = [name for name, value in os.environ.items() if name.startswith("WANDB_") and value == wrong["input"]]
    name = " or ".join(names) or wrong["loc"][0]
    return f"the W&B SDK can't use {name}, which is {wrong['input']!r}: {wrong['msg']}"
