"""What an out was made from, as in-toto's statement with SLSA's provenance v1 (https://slsa.dev/spec/v1.0/provenance).

All of it comes from one commit: its dvc.lock, and the bytes that this names. No time, no machine: equal facts give an
equal statement. Who put the model in production, and in which registry it is, stand among the byproducts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.production import history
from dvc_wandb.project import git
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.packages import package_locks
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.provenance import digests, form
from dvc_wandb.provenance.bundle import STATEMENT_TYPE
from dvc_wandb.provenance.form import APPROVAL, BUILD_TYPE, COMMIT, DECISION, PREDICATE_TYPE, is_package

Digest = dict[str, str]
Statement = dict[str, Any]

# SLSA asks who is trusted to have built. Nobody need be: whoever doubts it runs the commit again
BUILDER = "https://dvc.org/doc/command-reference/repro#anywhere"


def make(
    pipeline: Pipeline,
    out: Content,
    digest_of: Callable[[Content], Digest],
    byproducts: Iterable[dict[str, Any] | None] = (),
) -> Statement:
    """The statement about `out`, by the dvc.lock that `pipeline` is read at; `digest_of` tells the digest of a content.

    Raises DvcWandbError where no stage makes it.
    """
    stage = pipeline.maker(out)
    if stage is None:
        raise DvcWandbError(f"no stage makes {out.path}, so there is nothing to say of how it was made.")
    executions, locks = pipeline.locked(stage), _package_locks(pipeline)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [_descriptor(out, digest_of(out))],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "stage": stage,
                    "stages": {
                        one.stage: {"command": one.cmd, "parameters": _as_json(one.params)} for one in executions
                    },
                },
                "resolvedDependencies": [
                    _commit(pipeline),
                    *_lock_files(locks, executions),
                    *_packages(locks),
                    *_materials(executions, digest_of),
                ],
            },
            "runDetails": {"builder": {"id": BUILDER}, "byproducts": [one for one in byproducts if one]},
        },
    }


def full_digest(pipeline: Pipeline, content: Content) -> Digest:
    """The digest of the bytes of `content`. Raises DvcWandbError where they are nowhere, or not those of dvc.lock."""
    if content.kind == "reference":
        return {}
    files, expected = pipeline.files(content), pipeline.listing(content) or {}
    of_each = {name: digests.of_file(path) for name, path in files.items()}
    for name, digest in of_each.items():
        if digest["md5"] != expected.get(name):
            full_name = f"{content.path}/{name}" if content.is_folder else content.path
            raise pipeline.mismatch_error(content, full_name, files[name], str(expected.get(name)))
    return _digest(content, of_each)


def digest_at_hand(pipeline: Pipeline, content: Content) -> Digest:
    """The digest of the bytes of `content` where this machine has them, else as much of it as dvc.lock has."""
    files = None if content.kind == "reference" else pipeline.files_at_hand(content)
    if files is not None:
        return _digest(content, {name: digests.of_file(path) for name, path in files.items()})
    return digest_of_lock(content)


def digest_of_lock(content: Content) -> Digest:
    """As much of the digest as dvc.lock has."""
    return {} if content.is_folder or content.kind == "reference" else {"md5": str(content.md5)}


def decision(pipeline: Pipeline, record_path: str, md5: str) -> dict[str, Any] | None:
    """Who put the model `md5` in production, by the record as it is committed; None where another one is."""
    source = history.committed(pipeline.root, record_path)
    if source is None or source.record.model_md5 != md5:
        return None
    return decision_at(pipeline, record_path, source.commit)


def decision_at(pipeline: Pipeline, record_path: str, commit: str) -> dict[str, Any] | None:
    """The same as a `commit` has it; None where this clone lacks it, or it has no record."""
    content = git.file_at(pipeline.root, commit, record_path)
    record = history.record_at(pipeline.root, record_path, commit)
    if content is None or record is None:
        return None
    facts = {
        "record": record_path,
        "commit": commit,
        "committedBy": git.output_or_none(pipeline.root, "log", "-1", "--format=%an", commit) or "",
        "registeredModel": record.registered_model,
        "decidedBy": record.decided_by,
        "reason": record.reason,
        "metrics": record.metrics,
        "measuredOn": record.eval_md5,
        "replaces": record.replaces,
        "rule": _rule(pipeline, record_path, commit),
    }
    given = {key: value for key, value in facts.items() if value not in (None, {})}
    return {"name": DECISION, "digest": _digest_of_bytes(content), "annotations": given}


def approval(asker: str, approver: str, asked_for: str, reason: str) -> dict[str, Any]:
    """Who asked for the model in production, and the second person who said yes."""
    facts = {"askedBy": asker, "askedFor": asked_for, "approvedBy": approver, "reason": reason}
    return {"name": APPROVAL, "annotations": {key: value for key, value in facts.items() if value}}


def _rule(pipeline: Pipeline, record_path: str, commit: str) -> dict[str, Any]:
    """The parameters that the deciding stage was given, by dvc.lock."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # which is slower by an order of magnitude
    lock = yaml.load(git.file_at(pipeline.root, commit, "dvc.lock") or b"", loader) or {}
    for stage in (lock.get("stages") or {}).values():
        if any(out["path"] == record_path for out in stage.get("outs", [])):
            return _as_json(stage.get("params") or {})
    return {}


def _as_json(value: Any) -> Any:
    """A value of YAML as JSON has it: keys are texts there, and so is infinity."""
    if isinstance(value, dict):
        return {str(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_as_json(one) for one in value]
    is_plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_plain else str(value)


# ---- reading one ----


def subject(statement: Statement) -> dict[str, Any]:
    """The descriptor of what it is about. Raises OtherFormError for a statement of another form."""
    form.check(statement)
    return statement["subject"][0]


def subject_md5(statement: Statement) -> str:
    """The md5 of what it is about, as dvc.lock has it."""
    about = subject(statement)
    return str(about.get("annotations", {}).get("dvc") or about["digest"].get("md5"))


def definition(statement: Statement) -> dict[str, Any]:
    return statement["predicate"]["buildDefinition"]


def commit(statement: Statement) -> str:
    """The commit whose dvc.lock it tells."""
    found = definition(statement)["resolvedDependencies"]
    return next(one["digest"]["gitCommit"] for one in found if "gitCommit" in one.get("digest", {}))


def stage(statement: Statement) -> str:
    """The stage that made it."""
    return definition(statement)["externalParameters"]["stage"]


def stages(statement: Statement) -> dict[str, Any]:
    """Command and parameters of each stage."""
    return definition(statement)["externalParameters"]["stages"]


def dependencies(statement: Statement) -> dict[tuple[str, ...], dict[str, Any]]:
    """The descriptors of all that was read, by name and readers: two stages may have read a path at two md5s."""
    found = definition(statement)["resolvedDependencies"]
    return {(one["name"], *one.get("annotations", {}).get("readBy", [])): one for one in found}


def materials(statement: Statement) -> list[dict[str, Any]]:
    """The descriptors of the files and folders that were read."""
    return [one for (name, *_), one in dependencies(statement).items() if name != COMMIT and not is_package(one)]


def packages(statement: Statement) -> list[dict[str, Any]]:
    """The descriptors of the packages that the lock file has with their hashes."""
    return [one for one in dependencies(statement).values() if is_package(one)]


def byproduct(statement: Statement, name: str) -> dict[str, Any] | None:
    found = statement["predicate"]["runDetails"].get("byproducts", [])
    return next((one for one in found if one["name"] == name), None)


# ---- descriptors ----


def _commit(pipeline: Pipeline) -> dict[str, Any]:
    """The commit, and where it can be cloned from, without a password."""
    url = git.remote_url(pipeline.root)
    place = {"uri": f"git+{url}"} if url else {}
    return {"name": COMMIT, **place, "digest": {"gitCommit": str(pipeline.rev or pipeline.commit)}}


def _package_locks(pipeline: Pipeline) -> dict[str, bytes]:
    """The files that lock the packages, as the commit has them, the most exact kind first."""
    rev = str(pipeline.rev or "HEAD")
    listed = (git.output_or_none(pipeline.root, "ls-tree", "--name-only", rev, "./") or "").splitlines()
    found = {name: git.file_at(pipeline.root, rev, name) for name in package_locks.READERS if name in listed}
    return {name: content for name, content in found.items() if content is not None}


def _lock_files(locks: dict[str, bytes], executions: list[Execution]) -> list[dict[str, Any]]:
    """The files themselves, where no stage names them."""
    named = {dep.path for one in executions for dep in one.reads}
    return [{"name": name, "digest": _digest_of_bytes(locks[name])} for name in sorted(locks.keys() - named)]


def _packages(locks: dict[str, bytes]) -> list[dict[str, Any]]:
    """The packages of the lock file that counts, each with the hashes that it has of the package's files."""
    lock, content = next(iter(locks.items()), ("", b""))
    found: dict[str, set[str]] = {}
    for pin in package_locks.parse(lock, content.decode(errors="replace")) if lock else []:
        found.setdefault(pin.url, set()).update(pin.hashes)
    return [
        {"name": url, "uri": url, "annotations": {"lockedIn": lock, "hashes": sorted(hashes)}}
        for url, hashes in sorted(found.items())
        if hashes
    ]


def _materials(executions: list[Execution], digest_of: Callable[[Content], Digest]) -> list[dict[str, Any]]:
    """All that the stages read, each once, with the stages that made and read it."""
    makers = {(out.path, out.md5): one.stage for one in executions for out in one.outs}
    readers: dict[Content, list[str]] = {}
    for one in executions:
        for dep in one.reads:
            readers.setdefault(dep, []).append(one.stage)
    return [
        _descriptor(dep, digest_of(dep), {"madeBy": makers.get((dep.path, dep.md5)), "readBy": readers[dep]})
        for dep in sorted(readers, key=lambda dep: (dep.path, str(dep.md5)))
    ]


def _descriptor(content: Content, digest: Digest, facts: dict[str, Any] | None = None) -> dict[str, Any]:
    """A content as in-toto's resource descriptor. DVC's own name stands beside a digest that isn't that of one file."""
    own = {"dvc": content.md5} if content.is_folder or content.kind == "reference" else {}
    annotations = own | {key: value for key, value in (facts or {}).items() if value}
    return {
        "name": content.path,
        **({"uri": content.path} if content.kind == "reference" else {}),
        **({"digest": digest} if digest else {}),
        **({"annotations": annotations} if annotations else {}),
    }


def _digest(content: Content, files: dict[str, Digest]) -> Digest:
    return digests.of_folder(files) if content.is_folder else next(iter(files.values()))


def _digest_of_bytes(content: bytes) -> Digest:
    return {"sha256": hashlib.sha256(content).hexdigest(), "md5": hashlib.md5(content).hexdigest()}
