"""The names in the registry that tie it to dvc.lock.

alias  dvc-<md5>         the version that holds this content
tag    dvc-<key>         a run that holds all of the execution with this key
tag    dvc-given-<key>   a run of the same command, dependencies and parameters, whatever it made
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

PREFIX = "dvc-"
PLAIN = re.compile(r"[\w.-]{1,100}")  # W&B refuses slashes and colons in an alias


def make(md5: str | None) -> str:
    """The alias of a content. What W&B takes for no alias, such as an etag in quotes, stands there as its digest."""
    return PREFIX + (str(md5) if PLAIN.fullmatch(str(md5)) else digest(md5))


def parse(alias: str) -> str | None:
    """The md5 that a content alias names; None for another alias."""
    return alias.removeprefix(PREFIX) if alias.startswith(PREFIX) else None


def md5_among(aliases: Iterable[str]) -> str:
    """The md5 that the first content alias among a version's `aliases` names; "" where DVC doesn't know the version."""
    return next((md5 for alias in aliases if (md5 := parse(alias)) is not None), "")


def execution_tag(key: str) -> str:
    """The tag of the runs that hold all of an execution."""
    return f"{PREFIX}{key}"


def inputs_tag(key: str) -> str:
    """The tag of the runs that were given the same."""
    return f"{PREFIX}given-{key}"


def digest(facts: Any) -> str:
    """A short name for JSON `facts`: 16 hexadecimal digits of their md5."""
    return hashlib.md5(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]
