"""The addresses of pages: those that the SDK prints, and the registry's own, all below the path of the public one."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from wandb_registry.http.own_address import base_path

Row = dict[str, Any]
MODEL_REGISTRY = "model-registry"


def at(path: str) -> str:
    """The address of a fixed page, such as /search."""
    return base_path.get() + path


def join(*parts: str) -> str:
    """A path of names, each quoted."""
    return at(_path(parts))


def _path(parts: Iterable[str]) -> str:
    return "".join(f"/{_quoted(part)}" for part in parts)


@lru_cache(4096)  # a page has hundreds of addresses with few names
def _quoted(part: str) -> str:
    return quote(part, safe="")


def project(entity: str, name: str) -> str:
    return join(entity, name)


def run(entity: str, project_name: str, name: str) -> str:
    return join(entity, project_name, "runs", name)


def collection(entity: str, project_name: str, type_name: str, name: str) -> str:
    return join(entity, project_name, "artifacts", type_name, name)


def version(entity: str, project_name: str, type_name: str, name: str, number: str) -> str:
    """A version of an artifact; `number` is v3, or an alias."""
    return join(entity, project_name, "artifacts", type_name, name, number)


def registered(entity: str, project_name: str, name: str, number: str | None = None) -> str:
    """A registered model, or one of its versions, as W&B addresses them."""
    query = {"selectionPath": f"{entity}/{project_name}/{name}"}
    if number is not None:
        query |= {"view": "membership", "version": number}
    return at(f"/registry/model?{urlencode(query)}")


def page_of_collection(collection_row: Row, project_row: Row, type_name: str) -> str:
    """The page of a collection: that of a registered model, or one in the collection's project."""
    entity, name = project_row["entity_name"], project_row["name"]
    if collection_row["kind"] == "PORTFOLIO":
        return registered(entity, name, collection_row["name"])
    return collection(entity, name, type_name, collection_row["name"])


def page_of_version(collection_row: Row, project_row: Row, type_name: str, number: str) -> str:
    """The page of a version, which lies beneath `page_of_collection`."""
    entity, name = project_row["entity_name"], project_row["name"]
    if collection_row["kind"] == "PORTFOLIO":
        return registered(entity, name, collection_row["name"], number)
    return version(entity, name, type_name, collection_row["name"], number)


def comparison(collection_row: Row, project_row: Row, type_name: str, before: str, after: str) -> str:
    """The page that compares two versions of a collection."""
    page = page_of_collection(collection_row, project_row, type_name)
    query = urlencode({"from": before, "to": after})
    return f"{page}&view=compare&{query}" if collection_row["kind"] == "PORTFOLIO" else f"{page}/compare?{query}"


def file(base: str, path: str) -> str:
    """A file beneath another address."""
    return f"{base}{_path(path.split('/'))}"


def with_query(path: str, query: dict[str, Any]) -> str:
    """A path with a query. Empty parameters are left out."""
    filled = {key: value for key, value in query.items() if value not in (None, "", [])}
    # a key in JSON can hold half a character, of which a query has no bytes
    return f"{path}?{urlencode(filled, doseq=True, errors='replace')}" if filled else path
