"""Compares dvc.lock with the registry: the files and md5s of every out, every edge, every link. Changes nothing.

`verify` reports the differences, `mirror` mends them. With `read_manifests`, as `verify` does, a version's manifest is
read even if its digest is right.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit

from dvc_wandb.client.versions import ExecutionRun, ManifestEntry, Version
from dvc_wandb.project import metrics, plot_definitions
from dvc_wandb.project.files import folder_md5
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.plot_definitions import find_out
from dvc_wandb.sync.mirrored_project import MirroredProject

MIRROR_COMMAND = "dvc-wandb mirror"
LISTS_ALL = "`dvc-wandb verify --json` lists all"
MAX_NAMED = 5  # names in a sentence


@dataclass(frozen=True)
class Drift:
    """One difference: what it is, what each side has, and the command that mends it."""

    what: str
    where: str
    lock: str
    registry: str
    mend: str = MIRROR_COMMAND
    all: tuple[str, ...] = ()  # what differs, where the sentences name the first few

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.what}\n    dvc.lock   {self.lock}\n    registry   {self.registry}\n"
            f"    mend       {self.mend}"
        )


def load(registry: MirroredProject, executions: list[Execution], added: Iterable[Content] = ()) -> None:
    """Load all that the comparison needs from the registry, at once."""
    contents = [content.versioned for one in executions for content in (*one.reads, *one.outs) if content.md5]
    registry.load([*contents, *added], executions)


def execution_drifts(
    pipeline: Pipeline, registry: MirroredProject, execution: Execution, read_manifests: bool
) -> Iterator[Drift]:
    """The differences in an execution's outs, edges and links. Its deps are compared as outs of other stages."""
    for out in execution.outs:
        yield from content_drifts(pipeline, registry, out, read_manifests, execution)
    yield from _run_drifts(pipeline, registry, execution, read_manifests)
    yield from _link_drifts(registry, execution)


def content_drifts(
    pipeline: Pipeline,
    registry: MirroredProject,
    content: Content,
    read_manifests: bool,
    execution: Execution | None = None,
) -> list[Drift]:
    """The differences between `content` and the version that mirrors it."""
    version = registry.version_of(content)
    lock_side = f"{content.path} at {content.md5}"
    if version is None:
        registry_side = _describe_missing_version(registry, content, execution)
        mend = _command(pipeline, [content]) if read_manifests else MIRROR_COMMAND
        return [Drift("no version", content.path, lock_side, registry_side, mend)]
    if version.dvc.get("md5") != content.md5:
        holds = f"holds {version.dvc['md5']}" if "md5" in version.dvc else "its metadata don't name its md5"
        actual = f"{version.name} has the alias {content.alias}, but {holds}"
        return [Drift("moved alias", content.path, lock_side, actual)]
    drifts = _type_drifts(content, version)
    expected = expected_files(pipeline, content)
    if not read_manifests and expected is not None and digest_of(expected) == version.digest:
        return drifts
    actual = registry.files(version)
    differences = _file_differences(content, expected, actual, version)
    if not differences:
        return drifts
    is_tampered = digest_of(actual) != version.digest  # somebody changed the store itself
    command = f"delete {version.name} in the registry, then {MIRROR_COMMAND}" if is_tampered else MIRROR_COMMAND
    registry_side = f"{version.name}: {first_few(differences)}"
    return [*drifts, Drift("other files", content.path, lock_side, registry_side, command, tuple(differences))]


def _type_drifts(content: Content, version: Version) -> list[Drift]:
    """That the collection has another type than an `artifacts:` section says. Where none does, it may have any."""
    if not content.is_type_declared or content.type == version.type:
        return []
    lock_side = f"{content.path} is of the type {content.type}, by dvc.yaml"
    return [Drift("other type", content.path, lock_side, f"{version.name} is of the type {version.type}")]


def expected_files(pipeline: Pipeline, content: Content) -> dict[str, ManifestEntry] | None:
    """The manifest of a version of `content`, without views; None if a folder's list of files is nowhere."""
    if content.kind == "reference":
        return {reference_name(content): ManifestEntry(str(content.md5), reference_url(content))}
    listing = pipeline.listing(content)
    return None if listing is None else {name: ManifestEntry(_base64(md5)) for name, md5 in listing.items()}


def reference_name(content: Content) -> str:
    """The name of a reference's only entry."""
    return content.path.rstrip("/").rpartition("/")[2].rpartition("#")[2] or content.artifact


def reference_url(content: Content) -> str:
    """The URL of a reference: a path from the project's root is the same in every clone, so it stays one."""
    return content.path if urlsplit(content.path).scheme else f"file://{quote(content.path)}"


def digest_of(files: dict[str, ManifestEntry]) -> str:
    """W&B's digest of a version with these files."""
    md5 = hashlib.md5(b"wandb-artifact-manifest-v1\n")
    for name in sorted(files):
        md5.update(f"{name}:{files[name].digest}\n".encode())
    return md5.hexdigest()


def differing_runs(registry: MirroredProject, execution: Execution) -> list[str]:
    """Sentences on outs that had other bytes in a run with the same command, dependencies and parameters."""
    now = {out.path: out.md5 for out in execution.outs}
    sentences = []
    for run in registry.runs_with_same_inputs(execution):
        other = {path: md5 for path, md5 in run.outs.items() if path in now and md5 != now[path]}
        sentences += [f"{path} was {md5} in the run {run.id}, now it is {now[path]}" for path, md5 in other.items()]
    return sorted(set(sentences))


def _file_differences(
    content: Content, expected: dict[str, ManifestEntry] | None, actual: dict[str, ManifestEntry], version: Version
) -> list[str]:
    """How the files of a version differ from dvc.lock, in words."""
    if expected is None:  # the list of files is nowhere, so compare its md5
        if version.dvc.get("views"):
            return ["the list of the folder's files is nowhere on this machine to hold its files against"]
        md5 = folder_md5({name: file.md5 for name, file in actual.items()})
        return [] if md5 == content.md5 else [f"its files give {md5}"]
    extra = {name: file for name, file in actual.items() if name not in expected}
    if extra and digest_of(extra) == version.dvc.get("views"):
        extra = {}
    differences = [
        f"{name} is {actual[name].md5} instead of {expected[name].md5}"
        for name in sorted(expected.keys() & actual.keys())
        if expected[name] != actual[name]
    ]
    differences += [f"{name} ({expected[name].md5}) is missing" for name in sorted(expected.keys() - actual.keys())]
    differences += [f"{name} ({extra[name].md5}) is not in dvc.lock" for name in sorted(extra)]
    return differences


def _command(pipeline: Pipeline, contents: Iterable[Content]) -> str:
    """The command that mirrors `contents`, after what brings back the bytes that are nowhere."""
    remedies = (remedy for content in contents for remedy in pipeline.remedies_if_nowhere(content))
    missing = [remedy.rstrip(".") for remedy in dict.fromkeys(remedies)]
    return f"{'; '.join(missing)}; then {MIRROR_COMMAND}" if missing else MIRROR_COMMAND


def _run_drifts(
    pipeline: Pipeline, registry: MirroredProject, execution: Execution, read_manifests: bool
) -> list[Drift]:
    """What the runs of `execution` lack, and the inputs that DVC doesn't know."""
    lock_side = f"{execution.stage}, execution {execution.key}"
    runs = registry.runs(execution)
    if not runs:
        contents = [*(one.versioned for one in execution.reads if one.md5), *execution.outs] if read_manifests else []
        mend = _command(pipeline, [one for one in contents if registry.version_of(one) is None])
        return [Drift("no run", execution.stage, lock_side, f"no run has the tag {execution.tag}", mend)]
    drifts = []
    if all(missing_by_run := [_missing_edges(registry, execution, run) for run in runs]):
        run, missing_edges = min(zip(runs, missing_by_run, strict=True), key=lambda pair: len(pair[1]))
        drifts += [
            Drift("missing edge", execution.stage, f"{execution.stage} {verb} {path}", f"the run {run.id} doesn't")
            for verb, path in missing_edges
        ]
    if all(values_missing := [values_not_shown(pipeline, execution, run) for run in runs]):
        registry_side = f"the run {runs[0].id} doesn't"
        lock_side = f"{execution.stage} shows {first_few(values_missing[0])}, by dvc.yaml"
        every = tuple(values_missing[0])
        drifts.append(Drift("metrics or plots not shown", execution.stage, lock_side, registry_side, all=every))
    for run in runs:
        for name in unknown_inputs(pipeline, registry, execution, run):
            registry_side = f"the run {run.id} uses {name}"
            drifts.append(Drift("extra input", execution.stage, f"{execution.stage} doesn't use {name}", registry_side))
    return drifts


def values_at_top(pipeline: Pipeline, execution: Execution) -> list[str]:
    """What `metrics:` and `plots:` at the top of a dvc.yaml name in other outs of `execution`: its run shows them."""
    return [
        path
        for path, kind in _named_at_top(pipeline)
        if (out := find_out(execution.outs, path)) and out.kind not in (kind, "reference")
    ]


def values_not_shown(pipeline: Pipeline, execution: Execution, run: ExecutionRun) -> list[str]:
    """Those of `values_at_top` that the run was not made with: by a version that didn't know them, or before."""
    return [path for path in values_at_top(pipeline, execution) if path not in run.shown]


@lru_cache(maxsize=2)  # asked for each stage of a project
def _named_at_top(pipeline: Pipeline) -> list[tuple[str, str]]:
    named = {(path, "metrics") for path in metrics.named(pipeline)}
    return sorted(named | {(path, "plots") for path in plot_definitions.files(pipeline)})


def _missing_edges(registry: MirroredProject, execution: Execution, run: ExecutionRun) -> list[tuple[str, str]]:
    """The edges of `execution` that `run` lacks, among contents with a version."""
    edges = []
    for verb, contents, mirrored in (("uses", execution.reads, run.inputs), ("makes", execution.outs, run.outputs)):
        for content in contents:
            version = registry.version_of(content.versioned)
            if version and version.id not in mirrored and not _is_used_otherwise(registry, content, mirrored):
                edges.append((verb, content.path))
    return edges


def unknown_inputs(pipeline: Pipeline, registry: MirroredProject, execution: Execution, run: ExecutionRun) -> list[str]:
    """The versions that `run` uses and `execution` doesn't."""
    versions = (registry.version_of(dep.versioned) for dep in execution.reads)
    known = {version.id for version in versions if version}
    return sorted(
        name
        for version_id, name in run.inputs.items()
        if version_id not in known
        and not any(_is_used_otherwise(registry, dep, {version_id: name}) for dep in execution.reads)
    )


def _is_used_otherwise(registry: MirroredProject, content: Content, edges: dict[str, str]) -> bool:
    """Whether the run uses another version that is as good: a folder's with the same part, any if it is `assumed`."""
    if content.assumed:
        return any(version.rpartition(":")[0] == content.artifact for version in edges.values())
    if content.folder_out is None:
        return False
    name = content.path.removeprefix(f"{content.folder_out.path}/")
    for version_id, version in edges.items():
        if version.rpartition(":")[0] == content.folder_out.artifact:
            file = registry.files_of(version_id).get(name)
            if file and file.md5 == content.md5:
                return True
    return False


def _link_drifts(registry: MirroredProject, execution: Execution) -> list[Drift]:
    """The registered models in `meta.wandb.links` that lack the version."""
    drifts = []
    for path, target in (execution.meta.get("links") or {}).items():
        dep = next((dep for dep in execution.deps if dep.path == path), None)
        version = registry.version_of(dep) if dep else None
        if dep and version and not registry.has_alias(target, str(dep.md5), dep.alias):
            registry_side = f"{target} has no {version.name} with the alias {dep.alias}"
            drifts.append(Drift("missing link", execution.stage, f"{path} is linked to {target}", registry_side))
    return drifts


def _describe_missing_version(registry: MirroredProject, content: Content, execution: Execution | None) -> str:
    """That no version has the content alias, and which one has lost it, if that is known."""
    nothing = f"{content.artifact} has no version with the alias {content.alias}"
    for run in registry.runs(execution) if execution else []:
        for name in run.outputs.values():
            if name.rpartition(":")[0] == content.artifact:
                return f"{nothing}; {name}, which the run {run.id} logged, has lost it"
    return nothing


def _base64(md5: str) -> str:
    return base64.b64encode(bytes.fromhex(md5)).decode()


def first_few(names: list[str]) -> str:
    """The first few names, how many more there are, and what lists them all."""
    more = f", and {len(names) - MAX_NAMED} more ({LISTS_ALL})" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
