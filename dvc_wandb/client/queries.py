"""GraphQL queries to a registry. One query asks for many versions or runs; the SDK would ask for each alone.

Only reads: the SDK does all writing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.client.http_client import MAX_CONNECTIONS, RegistryClient
from dvc_wandb.errors import RegistryUnavailableError

BATCH_SIZE = 50  # names per query: the server parses equal texts once
PAGE_SIZE = 500  # edges of a connection per response

VERSION = """
  id digest versionIndex state metadata
  artifactSequence { name }
  artifactType { name }
  aliases { alias artifactCollection { name } }
"""
MEMBERSHIPS = """
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
  inputArtifacts(first: {PAGE_SIZE}) {{ {EDGES} }}
  outputArtifacts(first: {PAGE_SIZE}) {{ {EDGES} }}
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
    run(name: $run) {{ edges: %s(first: {PAGE_SIZE}, after: $after) {{ {EDGES} }} }}
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
ALIASES = """
query LineageAliases($entity: String!, $project: String!, $collection: String!, $after: String) {
  project(name: $project, entityName: $entity) {
    artifactCollection(name: $collection) {
      artifacts(first: 500, after: $after) {
        pageInfo { endCursor hasNextPage }
        edges {
          node {
            artifactMemberships(first: 100) {
              edges { node { versionIndex aliases { alias } artifactCollection { name project { name } } } }
            }
          }
        }
      }
    }
  }
}
"""
MANIFESTS = """
query LineageManifest($id: ID!) { artifact(id: $id) { currentManifest { file { directUrl } } } }
"""


class Queries:
    """Queries about one project of a registry."""

    def __init__(self, connection: RegistryConnection) -> None:
        self._client = RegistryClient(connection.url)
        self._project = {"entity": connection.entity, "project": connection.project}

    def memberships(self, names: Sequence[str]) -> Iterator[dict[str, Any] | None]:
        """The collection membership that each of `names`, `COLLECTION:ALIAS`, has; None if there is none."""
        for start in range(0, len(names), BATCH_SIZE):
            batch = names[start : start + BATCH_SIZE]
            indexes = range(len(batch))
            declarations = ", ".join(f"$n{at}: String!" for at in indexes)
            fields = "\n".join(
                f"m{at}: artifactCollectionMembership(name: $n{at}) {{ versionIndex artifact {{ ...V }} }}"
                for at in indexes
            )
            query = (
                f"query LineageVersions($entity: String!, $project: String!, {declarations}) {{\n"
                f"project(name: $project, entityName: $entity) {{ {fields} }} }}\n"
                f"fragment V on Artifact {{ {VERSION} {MEMBERSHIPS} }}"
            )
            project = self._execute(query, {f"n{at}": name for at, name in enumerate(batch)})["project"] or {}
            yield from (project.get(f"m{at}") for at in indexes)

    def collection_types(self, names: Sequence[str]) -> dict[str, str]:
        """The type of each of the collections `names` that there is."""
        types: dict[str, str] = {}
        for start in range(0, len(names), BATCH_SIZE):
            batch = names[start : start + BATCH_SIZE]
            indexes = range(len(batch))
            declarations = ", ".join(f"$n{at}: String!" for at in indexes)
            fields = "\n".join(
                f"c{at}: artifactCollection(name: $n{at}) {{ defaultArtifactType {{ name }} }}" for at in indexes
            )
            query = (
                f"query LineageTypes($entity: String!, $project: String!, {declarations}) {{\n"
                f"project(name: $project, entityName: $entity) {{ {fields} }} }}"
            )
            project = self._execute(query, {f"n{at}": name for at, name in enumerate(batch)})["project"] or {}
            found = ((name, project.get(f"c{at}")) for at, name in enumerate(batch))
            types |= {name: collection["defaultArtifactType"]["name"] for name, collection in found if collection}
        return types

    def runs(self, tags: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The runs with one of `tags`, each once."""
        seen: set[str] = set()
        for start in range(0, len(tags), 2 * BATCH_SIZE):
            filters = json.dumps({"tags": {"$in": list(tags[start : start + 2 * BATCH_SIZE])}})
            for run in self._pages(RUNS, ("project", "runs"), filters=filters):
                if run["name"] not in seen:
                    seen.add(run["name"])
                    yield self._with_all_edges(run)

    def files(self, collection: str, alias: str) -> Iterator[tuple[str, str]]:
        """The name and URL of each file of a version."""
        path = ("project", "artifactCollection", "artifactMembership", "files")
        for file in self._pages(FILES, path, collection=collection, alias=alias):
            yield file["name"], file["directUrl"]

    def aliases(self, collection: str) -> Iterator[tuple[str, list[str]]]:
        """The number and the aliases of each version in a collection: ('v0', ['dvc-4788…', 'production'])."""
        path = ("project", "artifactCollection", "artifacts")
        here = {"name": collection, "project": {"name": self._project["project"]}}
        for artifact in self._pages(ALIASES, path, collection=collection):
            for edge in artifact["artifactMemberships"]["edges"]:
                if edge["node"]["artifactCollection"] == here:
                    yield f"v{edge['node']['versionIndex']}", [one["alias"] for one in edge["node"]["aliases"]]

    def contents(self, urls: Iterable[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
        """The name and the content of each file of these names and URLs."""
        for name, url in urls:
            yield name, b"".join(self._client.download(url))

    def manifest_url(self, artifact_id: str) -> str:
        """The URL of a version's manifest."""
        data = self._execute(MANIFESTS, {"id": artifact_id})
        return data["artifact"]["currentManifest"]["file"]["directUrl"]

    def manifests(self, urls: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The manifests at `urls`, in their order; downloads several at a time."""
        with ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
            yield from pool.map(lambda url: json.loads(b"".join(self._client.download(url))), urls)

    def md5s(self, urls: Iterable[str]) -> Iterator[str]:
        """The md5 of the content at each of `urls`; "nothing", with the reason, if there is none."""
        with ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
            yield from pool.map(self._md5_at, urls)

    def _md5_at(self, url: str) -> str:
        if not url:
            return "nothing"
        try:
            md5 = hashlib.md5()
            for chunk in self._client.download(url):
                md5.update(chunk)
            return md5.hexdigest()
        except RegistryUnavailableError as error:
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

    def _pages(self, query: str, path: tuple[str, ...], after: str | None = None, **variables: Any) -> Iterator[Any]:
        """The nodes of the connection at `path`, from all its pages; none if the project doesn't exist yet."""
        while True:
            connection: Any = self._execute(query, {**variables, "after": after})
            for part in path:
                connection = (connection or {}).get(part)
            if not connection:
                return
            yield from (edge["node"] for edge in connection["edges"])
            if not connection["pageInfo"]["hasNextPage"]:
                return
            after = connection["pageInfo"]["endCursor"]

    def _execute(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        variables_of_project = self._project if "$entity" in query else {}
        return self._client.graphql(query, {**variables_of_project, **variables})
