"""What DVC's own objects for dependencies and outputs say of a content: its md5, and where it lies."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit


def lock_hash(entry: Any) -> str | None:
    """What the lock knows of an entry's content: an md5, an etag, the commit of an import; None where it has none."""
    repo = getattr(entry, "def_repo", None)
    value = repo.get("rev_lock") if repo else entry.hash_info.value if getattr(entry, "hash_info", None) else None
    if value is None and getattr(entry, "info", None):  # a database or a dataset
        value = entry.dumpd()
    if value is None or isinstance(value, str):
        return value
    return hashlib.md5(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def reference(entry: Any, root: Path, base: Path) -> str:
    """The address of what lies outside of the project at `root`, which DVC reads at `base`."""
    repo = getattr(entry, "def_repo", None)
    if repo:  # as pip writes it: git+URL#path; the commit is the content
        url = repo["url"] if urlsplit(repo["url"]).scheme else f"file:{repo['url']}"
        return f"git+{url}#{quote(entry.def_path)}"
    path = str(entry.def_path or entry)
    if urlsplit(path).scheme:
        return path
    if not os.path.isabs(path):
        path = os.path.normpath(root / os.path.relpath(entry.fs_path, base))
    return f"file://{quote(path)}"
