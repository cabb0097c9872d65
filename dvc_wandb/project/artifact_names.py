"""The names of artifacts: from the `artifacts:` sections, else made from paths. Two paths never share a name."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from typing import Any

Section = dict[str, dict[str, Any]]  # the `artifacts:` section of one dvc.yaml: name → entry

MAX_LENGTH = 128  # characters of a name that W&B takes
RESERVED = {"job": "", "run_table": "run-", "code": "source-"}  # W&B's own types, and the prefixes of their names


class ArtifactNames:
    """The names of a project's artifacts."""

    def __init__(self, sections: dict[str, Section]) -> None:
        """`sections` by the folder of their dvc.yaml, relative to the project; `.` for its root.

        Of several that use one name, the one nearest to the root keeps it.
        """
        self._declarations: dict[str, dict[str, Any]] = {}
        self._declared_names: dict[str, str] = {}
        taken: set[str] = set()
        for folder in sorted(sections, key=lambda folder: (len(PurePosixPath(folder).parts), folder)):
            for name, declaration in sections[folder].items():
                path = _normalize(f"{folder}/{declaration['path']}")
                if path not in self._declarations:
                    slug = _slug(name)
                    is_free = slug not in taken and len(slug) <= MAX_LENGTH
                    self._declarations[path], self._declared_names[path] = (
                        declaration,
                        slug if is_free else with_digest(slug, path),
                    )
                    taken.add(slug)
        self._taken = frozenset(taken)

    def name_of(self, path: str) -> str:
        """The name of the artifact that mirrors `path`."""
        if path in self._declared_names:
            return self._declared_names[path]
        name = artifact_name(path)
        return with_digest(name, path) if name in self._taken else name

    def type_of(self, path: str, default: str) -> str:
        """The type of that artifact: what an `artifacts:` section says, as far as W&B takes it."""
        kind = re.sub(r"[/:\x00-\x1f\x7f]+", "-", str(self.declaration_of(path).get("type") or default))[:120]
        prefix = RESERVED.get(kind, "")
        reserved = kind.startswith("wandb-") or (kind in RESERVED and self.name_of(path).startswith(prefix))
        return f"dvc-{kind}" if reserved else kind

    def declaration_of(self, path: str) -> dict[str, Any]:
        """The entry for `path` in an `artifacts:` section."""
        return self._declarations.get(path, {})


def artifact_name(path: str) -> str:
    """A readable artifact name made from a path, never the same for two paths.

    Slashes become hyphens. Where that could be undone in two ways, or W&B refuses a character, a piece of the
    path's own md5 is added after two hyphens, which no plain name contains.
    """
    slug = _slug(path)
    if re.fullmatch(r"[\w.]+(/[\w.]+)*", path, flags=re.ASCII) and len(slug) <= MAX_LENGTH:
        return slug
    return with_digest(slug, path)


def with_digest(slug: str, path: str) -> str:
    """A name of its own for `path`, where `slug` alone could be another's too."""
    digest = hashlib.md5(path.encode(errors="surrogatepass")).hexdigest()
    return f"{slug[:110]}--{digest[:8]}"


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-")


def _normalize(path: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
