"""The code and the machine of a run: what the SDK has recorded about them, and the code that it has saved."""

import json
from typing import Any
from urllib.parse import urlsplit

from wandb_registry.model.runs import run_files
from wandb_registry.web import addresses
from wandb_registry.web.pager import beginning
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
METADATA = "wandb-metadata.json"
DIFF = "diff.patch"
SAVED = "code/%"
LARGEST_METADATA = 256 * 2**10  # bytes
FILES = 5  # of saved code, before somebody asks for all
FACTS = {"os": "System", "python": "Python", "gpu": "GPU", "executable": "Executable"}


def code_of_run(request: PageRequest, run: Row) -> Row:
    """Commit, repository, program with its arguments, machine, changes that were not committed, and saved code."""
    known = {row["name"]: row for row in run_files.named(request.db, run["id"], [METADATA, DIFF])}
    metadata = _metadata(request, known.get(METADATA))
    base = addresses.join(request.path["entity"], request.path["project"], "runs", request.path["run"], "files")
    some = beginning(request, "code", run_files.count(request.db, run["id"], SAVED), FILES)
    saved = run_files.page(request.db, run["id"], None, SAVED, some.shown, 0)
    repository = str(run["repo"] or _git(metadata).get("remote") or "")
    arguments = metadata.get("args")
    return {
        "repository": repository,
        "repository_page": repository if urlsplit(repository).scheme in ("http", "https") else None,
        "arguments": " ".join(map(str, arguments)) if isinstance(arguments, list) else "",
        "machine": [(label, str(metadata[key])) for key, label in FACTS.items() if isinstance(metadata.get(key), str)],
        "unread": addresses.file(base, METADATA) if METADATA in known and not metadata else None,
        "diff": addresses.file(base, DIFF) if DIFF in known else None,
        "all_saved": some,
        "saved": [(row["name"].removeprefix("code/"), addresses.file(base, row["name"])) for row in saved],
    }


def _git(metadata: Row) -> Row:
    return metadata["git"] if isinstance(metadata.get("git"), dict) else {}


def _metadata(request: PageRequest, file: Row | None) -> Row:
    if file is None or file["size"] > LARGEST_METADATA:
        return {}
    try:
        value = json.loads(request.store.blobs.local(file["md5"]).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
