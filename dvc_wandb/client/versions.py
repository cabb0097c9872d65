"""The versions and runs of a project in the registry, by name and by tag. Caches what it has found."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dvc_wandb.client.connection import RegistryConnection
from dvc_wandb.client.queries import Queries

SDK_TYPES = (
    "run_table",
    "wandb-history",
    "wandb-run-history",
    "wandb-events",
    "job",
)  # artifacts that the SDK logs by itself


@dataclass(frozen=True)
class Version:
    """A version of an artifact."""

    id: str
    name: str  # such as mnist_model:v3
    digest: str
    aliases: frozenset[str]  # in its own collection
    dvc: dict[str, Any] = field(hash=False)  # metadata.dvc
    manifest_url: str
    type: str
    memberships: frozenset[tuple[str, str, str]] = frozenset()  # (project, collection, alias), links included


@dataclass(frozen=True)
class ManifestEntry:
    """An entry of a version's manifest: a file by its md5, or a reference by its own digest."""

    digest: str
    ref: str | None = None

    @property
    def md5(self) -> str:
        """The md5 in hex, as DVC writes it; a reference's digest as it is."""
        return self.digest if self.ref else base64.b64decode(self.digest).hex()


@dataclass(frozen=True)
class ExecutionRun:
    """A run that mirrors an execution."""

    id: str
    state: str
    tags: frozenset[str]
    inputs: dict[str, str]  # id of a version → its name; without deleted ones
    outputs: dict[str, str]
    outs: dict[str, str] = field(default_factory=dict)  # path → md5, from its config
    undeclared_deps: tuple[str, ...] = ()  # paths, from its config
    shown: tuple[str, ...] = ()  # metrics and plots that the top of a dvc.yaml names, from its config


class RegistryProject:
    """The versions and runs of one project: by names such as `mnist_model:latest`, and by tags."""

    def __init__(self, connection: RegistryConnection) -> None:
        self._queries = Queries(connection)
        self._versions: dict[str, Version | None] = {}  # by `COLLECTION:ALIAS`
        self._files: dict[str, dict[str, ManifestEntry]] = {}
        self._runs: dict[str, list[ExecutionRun]] = {}  # by tag

    def load_named(self, names: Iterable[str], tags: Iterable[str] = ()) -> None:
        """Load all of these at once, save those that are cached."""
        unknown = [name for name in dict.fromkeys(names) if name not in self._versions]
        for name, membership in zip(unknown, self._queries.memberships(unknown), strict=True):
            self._versions[name] = _version(membership["artifact"]) if membership else None
        unknown = [tag for tag in dict.fromkeys(tags) if tag not in self._runs]
        self._runs |= {tag: [] for tag in unknown}
        for node in self._queries.runs(unknown):
            run = _run(node)
            for tag in run.tags & self._runs.keys():
                if run not in self._runs[tag]:
                    self._runs[tag].append(run)

    def forget_named(self, names: Iterable[str], tags: Iterable[str] = ()) -> None:
        """Drop these from the cache: they have changed."""
        for name in names:
            self._versions.pop(name, None)
        for tag in tags:
            self._runs.pop(tag, None)

    def version_named(self, name: str) -> Version | None:
        """The version that `COLLECTION:ALIAS` names; None if there is none."""
        if name not in self._versions:
            self.load_named([name])
        return self._versions[name]

    def runs_tagged(self, tag: str) -> list[ExecutionRun]:
        """The runs with `tag`."""
        if tag not in self._runs:
            self.load_named([], [tag])
        return self._runs[tag]

    def has_alias(self, target: str, md5: str, alias: str) -> bool:
        """Whether a cached version of `md5` has `alias` in the registered model `target`."""
        *_, project, collection = ["", *target.split("/")]
        versions = (version for version in self._versions.values() if version and version.dvc.get("md5") == md5)
        return any((project, collection, alias) in version.memberships for version in versions)

    def load_files(self, versions: Iterable[Version]) -> None:
        """Load the manifests of `versions`, several at a time."""
        unknown = [one for one in dict.fromkeys(versions) if one.id not in self._files]
        manifests = self._queries.manifests([one.manifest_url for one in unknown])
        for version, manifest in zip(unknown, manifests, strict=True):
            self._files[version.id] = _files(manifest)

    def files(self, version: Version) -> dict[str, ManifestEntry]:
        """The files of `version` by name."""
        if version.id not in self._files:
            self.load_files([version])
        return self._files[version.id]

    def files_of(self, artifact_id: str) -> dict[str, ManifestEntry]:
        """The files of a version, by its id."""
        if artifact_id not in self._files:
            (manifest,) = self._queries.manifests([self._queries.manifest_url(artifact_id)])
            self._files[artifact_id] = _files(manifest)
        return self._files[artifact_id]

    def read_files(self, version: Version) -> dict[str, bytes]:
        """Download the files of `version`, which have to be small, by name."""
        collection, _, alias = version.name.rpartition(":")
        return dict(self._queries.contents(self._queries.files(collection, alias)))

    def hash_served_files(self, version: Version) -> dict[str, tuple[str, str]]:
        """Download each file of `version`: its md5 in the manifest and that of the served bytes, by name."""
        collection, _, alias = version.name.rpartition(":")
        urls = dict(self._queries.files(collection, alias))
        files = {name: file.md5 for name, file in self.files(version).items() if not file.ref}
        served_md5s = self._queries.md5s([urls.get(name, "") for name in files])
        return {name: (md5, served) for (name, md5), served in zip(files.items(), served_md5s, strict=True)}


def _version(node: dict[str, Any]) -> Version:
    collection = node["artifactSequence"]["name"]
    memberships = [edge["node"] for edge in (node.get("artifactMemberships") or {}).get("edges", [])]
    return Version(
        id=node["id"],
        name=f"{collection}:v{node['versionIndex']}",
        digest=node["digest"],
        aliases=frozenset(
            alias["alias"]
            for alias in node["aliases"]
            if (alias.get("artifactCollection") or {}).get("name") == collection
        ),
        dvc=_dvc_metadata(node.get("metadata")),
        manifest_url=node["currentManifest"]["file"]["directUrl"],
        type=node["artifactType"]["name"],
        memberships=frozenset(
            (place["artifactCollection"]["project"]["name"], place["artifactCollection"]["name"], alias["alias"])
            for place in memberships
            for alias in place["aliases"]
        ),
    )


def _dvc_metadata(text: str | None) -> dict[str, Any]:
    metadata = json.loads(text or "{}").get("dvc")
    return metadata if isinstance(metadata, dict) else {}


def _run(node: dict[str, Any]) -> ExecutionRun:
    config = json.loads(node.get("config") or "{}").get("dvc", {})
    config = config.get("value", config) if isinstance(config, dict) else {}
    return ExecutionRun(
        id=node["name"],
        state=node["state"],
        tags=frozenset(node["tags"] or ()),
        inputs=_edges(node["inputArtifacts"]),
        outputs=_edges(node["outputArtifacts"]),
        outs=config.get("outs") or {},
        undeclared_deps=tuple(config.get("undeclared_deps") or ()),
        shown=tuple(config.get("shown") or ()),
    )


def _edges(connection: dict[str, Any]) -> dict[str, str]:
    nodes = (edge["node"] for edge in connection["edges"])
    return {
        node["id"]: f"{node['artifactSequence']['name']}:v{node['versionIndex']}"
        for node in nodes
        if node["state"] == "COMMITTED" and node["artifactType"]["name"] not in SDK_TYPES
    }


def _files(manifest: dict[str, Any]) -> dict[str, ManifestEntry]:
    return {name: ManifestEntry(entry["digest"], entry.get("ref")) for name, entry in manifest["contents"].items()}
