"""The aliases and tags that tie the registry to dvc.lock.

alias  dvc-<md5>         the version with this content
tag    dvc-<key>         a run that mirrors all of the execution with this key
tag    dvc-given-<key>   a run of the same command, dependencies and parameters, with any outputs
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

PREFIX = "dvc-"
VALID_ALIAS = re.compile(r"[\w.-]{1,100}")  # W&B refuses slashes and colons in an alias


def make(md5: str | None) -> str:
    """The alias of a content. If W&B refuses the md5 as an alias, such as an etag in quotes, it has a digest of it."""
    return PREFIX + (str(md5) if VALID_ALIAS.fullmatch(str(md5)) else digest(md5))


def parse(alias: str) -> str | None:
    """The md5 in a content alias; None for another alias."""
    return alias.removeprefix(PREFIX) if alias.startswith(PREFIX) else None


def find_md5(aliases: Iterable[str]) -> str:
    """The md5 in the first content alias of `aliases`; "" if there is none, as for a version that DVC doesn't know."""
    return next((md5 for alias in aliases if (md5 := parse(alias)) is not None), "")


def execution_tag(key: str) -> str:
    """The tag of the runs that mirror all of an execution."""
    return f"{PREFIX}{key}"


def inputs_tag(key: str) -> str:
    """The tag of the runs with the same command, dependencies and parameters."""
    return f"{PREFIX}given-{key}"


def digest(facts: Any) -> str:
    """16 hexadecimal digits of the md5 of `facts` as JSON."""
    return hashlib.md5(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]
