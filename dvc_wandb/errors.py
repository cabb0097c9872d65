"""The errors that users see.

DvcWandbError                     one sentence: what happened, why, what to do; exit status 1
├── MissingContentError           bytes that dvc.lock names are nowhere
├── CorruptedContentError         bytes don't have the md5 that DVC has for them
├── LegacyMd5Error                DVC 2's md5 of a text, which isn't the md5 of its bytes
├── ProjectError                  DVC can't read the project, or the project lacks a name
└── RegistryUnavailableError      the registry is down, unreachable, refuses the key, or is switched off
    ├── RegistryHTTPError         it responds with an error status
    └── RecorderExitedError       the recorder of the stages was killed
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class DvcWandbError(Exception):
    """Base of all errors that a user can cause. Its text is the whole message."""


class ProjectError(DvcWandbError):
    """dvc.yaml, dvc.lock or params.yaml can't be read, or lacks a name."""


class MissingContentError(DvcWandbError):
    """Neither the workspace nor git, DVC's cache or its remote has the bytes that dvc.lock names."""

    def __init__(self, path: str, why: str, remedy: str) -> None:
        super().__init__(f"neither the workspace nor DVC's cache holds {path} as dvc.lock has it, and {why}. {remedy}")


class CorruptedContentError(DvcWandbError):
    """The bytes of a file don't have the md5 that dvc.lock has."""

    def __init__(self, name: str, path: Path, md5: str, remedy: str) -> None:
        super().__init__(
            f"{name}: the bytes in {path} are not those of {md5}, which dvc.lock has. Remove that file. {remedy}"
        )


class LegacyMd5Error(DvcWandbError):
    """DVC 2 hashed texts with normalized line ends. W&B hashes their bytes."""

    def __init__(self, name: str, md5: str) -> None:
        super().__init__(
            f"{name}: {md5}, which dvc.lock has, is DVC 2's md5 of a text with other line ends, and not that of its "
            "bytes, which W&B has. `dvc cache migrate --dvc-files` writes the lock anew."
        )


class RegistryUnavailableError(DvcWandbError):
    """Nothing can be mirrored now. DVC's side is complete without it."""


class RegistryHTTPError(RegistryUnavailableError):
    """The registry responds with an error `status`, such as 403."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(f"the registry at {url} answers with HTTP {status}{reason and f': {reason}'}")
        self.status, self.reason = status, reason


class RecorderExitedError(RegistryUnavailableError):
    """The recorder was killed. The stage goes on without it."""

    def __init__(self, log: Path) -> None:
        super().__init__(f"the recorder is gone; {log} may say why.")


def not_mirrored_message(stage: str, why: str) -> str:
    """The line that a stage prints if the registry lacks its outputs."""
    return f"{stage}: not mirrored: {why}. Its outputs are safe in DVC; `dvc-wandb mirror` makes it up."


def one_line(error: BaseException) -> str:
    """All lines of the error on one; its type if it has no text."""
    lines = (line.strip() for line in (_response_error(error) or str(error)).splitlines())
    first, *more = list(filter(None, lines)) or [type(error).__name__]
    for line in more:
        first += f"{'' if first[-1] in ':;,.' else ';'} {line}"
    return first


def _response_error(error: BaseException) -> str:
    """The error in the body of the response, of which the SDK shows status and URL alone."""
    try:
        return str(error.response.json()["error"])  # type: ignore[attr-defined]
    except (AttributeError, ValueError, KeyError, TypeError):
        return ""


def is_sdk_error(error: Exception) -> bool:
    """Whether the SDK raised it: the registry refused something, or the SDK's settings are wrong."""
    return type(error).__module__.partition(".")[0] in ("wandb", "pydantic_core")


def error_reason(error: Exception) -> str:
    """The error as part of a sentence: one line, no full stop."""
    if type(error).__module__.startswith("pydantic_core"):
        return _invalid_setting(error)
    if is_sdk_error(error):
        return f"the registry did not take it: {one_line(error)}".rstrip(".")
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} can't be used: {error.strerror}"
    return (str(error) if isinstance(error, DvcWandbError) else one_line(error)).rstrip(".")


def _invalid_setting(error: Any) -> str:
    """The environment variable that the SDK can't use, from pydantic's error."""
    first = error.errors()[0]
    names = [name for name, value in os.environ.items() if name.startswith("WANDB_") and value == first["input"]]
    name = " or ".join(names) or first["loc"][0]
    return f"the W&B SDK can't use {name}, which is {first['input']!r}: {first['msg']}"
