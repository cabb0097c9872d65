"""The code and the machine of a run: what the SDK wrote about both, and its files of code among the run's."""

import json
from typing import Any
from urllib.parse import urlsplit

from wandb_registry.model.runs import run_files
from wandb_registry.web import addresses
from wandb_registry.web.pages import files
from wandb_registry.web.shell import Visit

Row = dict[str, Any]
METADATA = "wandb-metadata.json"
DIFF = "diff.patch"
LARGEST = 256 * 2**10
MOST = 5
FACTS = {"os": "System", "python": "Python", "gpu": "GPU", "executable": "Executable"}


def of_run(visit: Visit, run: Row) -> Row:
    """Commit, repository, program with its arguments, machine, changes that were not committed, and saved code."""
    there = {row["name"]: row for row in run_files.named(visit.db, run["id"], [METADATA, DIFF])}
    said = _metadata(visit, there.get(METADATA))
    base = addresses.join(visit.path["entity"], visit.path["project"], "runs", visit.path["run"], "files")
    saved = run_files.page(visit.db, run["id"], None, "code/%", MOST, 0)
    repository = str(run["repo"] or _git(said).get("remote") or "")
    arguments = said.get("args")
    return {
        "repository": repository,
        "repository_page": repository if urlsplit(repository).scheme in ("http", "https") else None,
        "arguments": " ".join(map(str, arguments)) if isinstance(arguments, list) else "",
        "machine": [(words, str(said[key])) for key, words in FACTS.items() if isinstance(said.get(key), str)],
        "diff": files.at(base, DIFF) if DIFF in there else None,
        "saved": [(row["name"].removeprefix("code/"), files.at(base, row["name"])) for row in saved],
    }


def _git(said: Row) -> Row:
    return said["git"] if isinstance(said.get("git"), dict) else {}


def _metadata(visit: Visit, file: Row | None) -> Row:
    if file is None or file["size"] > LARGEST:
        return {}
    try:
        said = json.loads(visit.store.blobs.path(file["md5"]).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
