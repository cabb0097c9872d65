"""What the registry holds of a project: versions by name, runs by tag. What was found once is not asked for again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.client.queries import Queries

OWN_TYPES = ("run_table", "wandb-history", "wandb-run-history", "wandb-events", "job")  # what W&B logs by itself


@dataclass(frozen=True)
class Version:
    """A version of an artifact, as the registry describes it."""

    id: str
    name: str  # such as mnist_model:v3
    digest: str
    aliases: frozenset[str]  # in its own collection
    dvc: dict[str, Any] = field(hash=False)  # what its metadata says of DVC
    manifest_url: str
    places: frozenset[tuple[str, str, str]] = frozenset()  # (project, collection, alias), also where it is linked


@dataclass(frozen=True)
class ManifestEntry:
    """An entry of a version's manifest: a file by its md5, or a reference by what its store calls it."""

    digest: str
    ref: str | None = None

    @property
    def md5(self) -> str:
        """As DVC writes it; the digest of a reference as it is."""
        return self.digest if self.ref else base64.b64decode(self.digest).hex()


@dataclass(frozen=True)
class ExecutionRun:
    """A run that says which execution it holds."""

    id: str
    state: str
    tags: frozenset[str]
    inputs: dict[str, str]  # id of a version → its name; those that still exist
    outputs: dict[str, str]
    outs: dict[str, str] = field(default_factory=dict)  # path → md5, as its config says


class RegistryProject:
    """The versions and runs of one project of the registry, by names such as `mnist_model:latest` and by tags."""

    def __init__(self, connection: RegistryConnection) -> None:
        self._queries = Queries(connection)
        self._versions: dict[str, Version | None] = {}  # by `COLLECTION:ALIAS`
        self._files: dict[str, dict[str, ManifestEntry]] = {}
        self._runs: dict[str, list[ExecutionRun]] = {}  # by tag

    def load_named(self, names: Iterable[str], tags: Iterable[str] = ()) -> None:
        """Ask for all of these at once; what is known already is not asked for."""
        unknown = [name for name in dict.fromkeys(names) if name not in self._versions]
        for name, found in zip(unknown, self._queries.memberships(unknown), strict=True):
            self._versions[name] = _version(found["artifact"]) if found else None
        unknown = [tag for tag in dict.fromkeys(tags) if tag not in self._runs]
        self._runs |= {tag: [] for tag in unknown}
        for node in self._queries.runs(unknown):
            run = _run(node)
            for tag in run.tags & self._runs.keys():
                if run not in self._runs[tag]:
                    self._runs[tag].append(run)

    def forget_named(self, names: Iterable[str], tags: Iterable[str] = ()) -> None:
        """These were changed just now: ask again next time."""
        for name in names:
            self._versions.pop(name, None)
        for tag in tags:
            self._runs.pop(tag, None)

    def version_named(self, name: str) -> Version | None:
        """The version that `COLLECTION:ALIAS` names; None where there is none."""
        if name not in self._versions:
            self.load_named([name])
        return self._versions[name]

    def runs_tagged(self, tag: str) -> list[ExecutionRun]:
        """The runs that carry `tag`."""
        if tag not in self._runs:
            self.load_named([], [tag])
        return self._runs[tag]

    def has_alias(self, target: str, md5: str, alias: str) -> bool:
        """Whether a version of `md5` among those that were asked for has `alias` in the registered model `target`."""
        *_, project, collection = ["", *target.split("/")]
        known = (version for version in self._versions.values() if version and version.dvc.get("md5") == md5)
        return any((project, collection, alias) in version.places for version in known)

    def load_files(self, versions: Iterable[Version]) -> None:
        """Fetch the manifests of `versions`, several at a time."""
        wanted = [one for one in dict.fromkeys(versions) if one.id not in self._files]
        manifests = self._queries.manifests([one.manifest_url for one in wanted])
        for version, manifest in zip(wanted, manifests, strict=True):
            self._files[version.id] = _files(manifest)

    def files(self, version: Version) -> dict[str, ManifestEntry]:
        """The files of `version` by name."""
        if version.id not in self._files:
            self.load_files([version])
        return self._files[version.id]

    def files_of(self, artifact_id: str) -> dict[str, ManifestEntry]:
        """The files of a version that is known by its id only."""
        if artifact_id not in self._files:
            (manifest,) = self._queries.manifests([self._queries.manifest_url(artifact_id)])
            self._files[artifact_id] = _files(manifest)
        return self._files[artifact_id]

    def served(self, version: Version) -> dict[str, tuple[str, str]]:
        """The md5 that each file of `version` should have and that of what is downloaded for it, by name."""
        collection, _, alias = version.name.rpartition(":")
        addresses = dict(self._queries.files(collection, alias))
        files = {name: file.md5 for name, file in self.files(version).items() if not file.ref}
        found = self._queries.md5s([addresses.get(name, "") for name in files])
        return {name: (md5, served) for (name, md5), served in zip(files.items(), found, strict=True)}


def _version(node: dict[str, Any]) -> Version:
    collection = node["artifactSequence"]["name"]
    places = [edge["node"] for edge in (node.get("artifactMemberships") or {}).get("edges", [])]
    return Version(
        id=node["id"],
        name=f"{collection}:v{node['versionIndex']}",
        digest=node["digest"],
        aliases=frozenset(
            alias["alias"]
            for alias in node["aliases"]
            if (alias.get("artifactCollection") or {}).get("name") == collection
        ),
        dvc=_said_of_dvc(node.get("metadata")),
        manifest_url=node["currentManifest"]["file"]["directUrl"],
        places=frozenset(
            (place["artifactCollection"]["project"]["name"], place["artifactCollection"]["name"], alias["alias"])
            for place in places
            for alias in place["aliases"]
        ),
    )


def _said_of_dvc(text: str | None) -> dict[str, Any]:
    said = json.loads(text or "{}").get("dvc")
    return said if isinstance(said, dict) else {}


def _run(node: dict[str, Any]) -> ExecutionRun:
    said = json.loads(node.get("config") or "{}").get("dvc", {})
    said = said.get("value", said) if isinstance(said, dict) else {}
    return ExecutionRun(
        id=node["name"],
        state=node["state"],
        tags=frozenset(node["tags"] or ()),
        inputs=_edges(node["inputArtifacts"]),
        outputs=_edges(node["outputArtifacts"]),
        outs=said.get("outs") or {},
    )


def _edges(connection: dict[str, Any]) -> dict[str, str]:
    nodes = (edge["node"] for edge in connection["edges"])
    return {
        node["id"]: f"{node['artifactSequence']['name']}:v{node['versionIndex']}"
        for node in nodes
        if node["state"] == "COMMITTED" and node["artifactType"]["name"] not in OWN_TYPES
    }


def _files(manifest: dict[str, Any]) -> dict[str, ManifestEntry]:
    return {name: ManifestEntry(entry["digest"], entry.get("ref")) for name, entry in manifest["contents"].items()}
