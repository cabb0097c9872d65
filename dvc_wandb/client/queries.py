"""Questions to a registry in W&B's own GraphQL: what the SDK asks one by one is asked here many at once.

Only reads. All writing is done by the SDK.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.client.http_client import AT_ONCE, RegistryClient
from dvc_wandb.errors import RegistryAway

BATCH = 50  # names in one question: equal texts are parsed once
PAGE = 500  # edges of a connection in one answer

VERSION = """
  id digest versionIndex state metadata
  artifactSequence { name }
  aliases { alias artifactCollection { name } }
"""
PLACES = """
  artifactMemberships(first: 100) {
    edges { node { versionIndex aliases { alias } artifactCollection { name project { name } } } }
  }
  currentManifest { file { directUrl } }
"""
EDGES = """
  pageInfo { endCursor hasNextPage }
  edges { node { id versionIndex state artifactSequence { name } artifactType { name } } }
"""
RUN = f"""
  name displayName state tags group commit config
  inputArtifacts(first: {PAGE}) {{ {EDGES} }}
  outputArtifacts(first: {PAGE}) {{ {EDGES} }}
"""
RUNS = f"""
query LineageRuns($entity: String!, $project: String!, $filters: JSONString, $after: String) {{
  project(name: $project, entityName: $entity) {{
    runs(filters: $filters, first: 100, after: $after) {{
      pageInfo {{ endCursor hasNextPage }}
      edges {{ node {{ {RUN} }} }}
    }}
  }}
}}
"""
MORE_EDGES = f"""
query LineageEdges($entity: String!, $project: String!, $run: String!, $after: String) {{
  project(name: $project, entityName: $entity) {{
    run(name: $run) {{ edges: %s(first: {PAGE}, after: $after) {{ {EDGES} }} }}
  }}
}}
"""
FILES = """
query LineageFiles($entity: String!, $project: String!, $collection: String!, $alias: String!, $after: String) {
  project(name: $project, entityName: $entity) {
    artifactCollection(name: $collection) {
      artifactMembership(aliasName: $alias) {
        files(first: 5000, after: $after) { pageInfo { endCursor hasNextPage } edges { node { name directUrl } } }
      }
    }
  }
}
"""
MANIFESTS = """
query LineageManifest($id: ID!) { artifact(id: $id) { currentManifest { file { directUrl } } } }
"""


class Queries:
    """One project of a registry, asked over a connection that stays open."""

    def __init__(self, connection: RegistryConnection) -> None:
        self._client = RegistryClient(connection.url)
        self._where = {"entity": connection.entity, "project": connection.project}

    def memberships(self, names: Sequence[str]) -> Iterator[dict[str, Any] | None]:
        """What `COLLECTION:ALIAS` names, in the order of `names`; None where nothing does."""
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            places = range(len(batch))
            declared = ", ".join(f"$n{at}: String!" for at in places)
            fields = "\n".join(
                f"m{at}: artifactCollectionMembership(name: $n{at}) {{ versionIndex artifact {{ ...V }} }}"
                for at in places
            )
            text = (
                f"query LineageVersions($entity: String!, $project: String!, {declared}) {{\n"
                f"project(name: $project, entityName: $entity) {{ {fields} }} }}\n"
                f"fragment V on Artifact {{ {VERSION} {PLACES} }}"
            )
            answer = self._ask(text, {f"n{at}": name for at, name in enumerate(batch)})["project"] or {}
            yield from (answer.get(f"m{at}") for at in places)

    def runs(self, tags: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The runs that carry one of `tags`, each once."""
        seen: set[str] = set()
        for start in range(0, len(tags), 2 * BATCH):
            filters = json.dumps({"tags": {"$in": list(tags[start : start + 2 * BATCH])}})
            for run in self._pages(RUNS, ("project", "runs"), filters=filters):
                if run["name"] not in seen:
                    seen.add(run["name"])
                    yield self._with_all_edges(run)

    def files(self, collection: str, alias: str) -> Iterator[tuple[str, str]]:
        """The name and address of each file of a version."""
        path = ("project", "artifactCollection", "artifactMembership", "files")
        for file in self._pages(FILES, path, collection=collection, alias=alias):
            yield file["name"], file["directUrl"]

    def manifest_url(self, artifact_id: str) -> str:
        """Where the manifest of a version can be fetched."""
        answer = self._ask(MANIFESTS, {"id": artifact_id})
        return answer["artifact"]["currentManifest"]["file"]["directUrl"]

    def manifests(self, urls: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The manifest at each of `urls`, in their order, several at a time."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(lambda url: json.loads(b"".join(self._client.download(url))), urls)

    def md5s(self, urls: Iterable[str]) -> Iterator[str]:
        """The md5 of what each of `urls` serves; where one serves nothing, what came instead."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(self._md5_at, urls)

    def _md5_at(self, url: str) -> str:
        if not url:
            return "nothing"
        try:
            md5 = hashlib.md5()
            for chunk in self._client.download(url):
                md5.update(chunk)
            return md5.hexdigest()
        except RegistryAway as error:
            return f"nothing ({error})"

    def _with_all_edges(self, run: dict[str, Any]) -> dict[str, Any]:
        for kind in ("inputArtifacts", "outputArtifacts"):
            first = run[kind]
            if first["pageInfo"]["hasNextPage"]:
                after = first["pageInfo"]["endCursor"]
                path = ("project", "run", "edges")
                more = self._pages(MORE_EDGES % kind, path, after=after, run=run["name"])
                first["edges"] += [{"node": node} for node in more]
        return run

    def _pages(self, text: str, path: tuple[str, ...], after: str | None = None, **variables: Any) -> Iterator[Any]:
        """The nodes of the connection at `path`, over all its pages; none where the project doesn't exist yet."""
        while True:
            found: Any = self._ask(text, {**variables, "after": after})
            for part in path:
                found = (found or {}).get(part)
            if not found:
                return
            yield from (edge["node"] for edge in found["edges"])
            if not found["pageInfo"]["hasNextPage"]:
                return
            after = found["pageInfo"]["endCursor"]

    def _ask(self, text: str, variables: dict[str, Any]) -> dict[str, Any]:
        where = self._where if "$entity" in text else {}
        return self._client.graphql(text, {**where, **variables})
