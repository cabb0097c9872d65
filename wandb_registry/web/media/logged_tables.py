"""The tables that a run has logged: where the last one of a key is, with its pictures if they lie in a version."""

from dataclasses import dataclass
from typing import Any, TypeGuard

from wandb_registry.model.artifacts import artifacts, folder_listing
from wandb_registry.model.nested_keys import leaves
from wandb_registry.model.runs import run_files, runs
from wandb_registry.web import addresses, lookups
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
TYPE = "table-file"  # as the SDK calls it in what it logs
SCHEME = "wandb-client-artifact"  # of the address of a table's version


@dataclass(frozen=True)
class Place:
    """A table's content, the address below which the files are that its cells name, and that of its page."""

    md5: str
    raw: str
    page: str


def keys(run: Row) -> list[str]:
    """The keys under which the run's last values are tables."""
    return [key for key, value in _summary(run).items() if _is_table(value)]


def place_of(request: PageRequest, run: Row, key: str) -> Place | None:
    """Where the run's last table of a key is; None if there is none, or its file was not uploaded."""
    value = _summary(run).get(key)
    return place_of_value(request, run, value) if _is_table(value) else None


def place_of_value(request: PageRequest, run: Row, value: Row) -> Place | None:
    """Where a logged table is; None if its file was not uploaded."""
    if found := version_of(request, value):
        version, path = found
        file = folder_listing.entry(request.db, version["id"], path)
        if file and file["md5"]:
            return _place(file["md5"], version["address"], path)
    files = run_files.named(request.db, run["id"], [str(value.get("path"))])
    return _place(files[0]["md5"], run["address"], files[0]["name"]) if files else None


def _place(md5: str, base: str, path: str) -> Place:
    return Place(md5, f"{base}/raw", addresses.file(f"{base}/files", path))


def version_of(request: PageRequest, value: Row) -> tuple[Row, str] | None:
    """The version that a logged table lies in, and its path there; None if it lies in none that the viewer may see."""
    scheme, _, path = str(value.get("artifact_path") or "").partition("://")
    name, _, file = path.partition("/")
    artifact = artifacts.of_client_id(request.db, name) if scheme == SCHEME else None
    version = lookups.visible_version(request, artifact)
    return (version, file) if version else None


def _is_table(value: Any) -> TypeGuard[Row]:
    return isinstance(value, dict) and value.get("_type") == TYPE


def _summary(run: Row) -> Row:
    return dict(leaves(runs.loads(run["summary"])))
