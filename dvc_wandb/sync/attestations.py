"""Signed statements in the registry: an artifact beside the model's, made by a run that used the model.

A file of the model's own version would change its digest, and so part it from DVC's bytes. The statement is a version
of `MODEL_provenance` instead, with the alias `attests-<md5>`, and `attests-<md5>-<digest>` for each key, authority or
identity that signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc_wandb import temporary_folders
from dvc_wandb.client.connection import RegistryConnection, open_run, public_api
from dvc_wandb.client.versions import RegistryProject, Version
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason
from dvc_wandb.production import registry_state
from dvc_wandb.project import remedies
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.provenance import bundle, check, form, reproduction, statement, trust
from dvc_wandb.provenance.errors import KeyFileError
from dvc_wandb.provenance.statement import Statement
from dvc_wandb.provenance.trust import Trusted
from dvc_wandb.sync.compare import Drift
from dvc_wandb.sync.mirror import RUN_SETTINGS

TYPE = "provenance"
STATEMENT, SIGNATURE = "provenance.sigstore.json", "model.sig"  # the files of a version
REPRODUCE, REPRODUCTION = "reproduce", "reproduction"  # the job type of a run that tried a statement; in its config
ATTEST = "dvc-wandb attest --key KEY"


class NotSignedError(DvcWandbError):
    """The registry has no statement about a model, or none by the key that is trusted."""


class OtherRegistryError(DvcWandbError):
    """A statement is about a model in another registry."""


@dataclass(frozen=True)
class Attestation:
    """A statement that was verified, and the files that prove it, by name."""

    statement: Statement
    version: str  # such as mnist_model_provenance:v0
    files: dict[str, bytes]


def collection_of(pipeline: Pipeline, target: str) -> str:
    """Where the statements are about the models of `target`: a registered model, or an artifact of this project."""
    for execution in pipeline.locked():
        links = execution.meta.get("links") or {}
        for dep in execution.deps:
            if _is_named(target, links.get(dep.path)):
                return collection_for(dep)
        for out in execution.outs:
            if target.rpartition("/")[2] == out.artifact:
                return collection_for(out)
    raise DvcWandbError(f"no stage of this project links a model to {target}, so none of its models has a statement.")


def _is_named(target: str, linked: str | None) -> bool:
    """Whether `target` is a registered model by the name in dvc.yaml, or by that with its entity."""
    return linked is not None and f"/{target}".endswith(f"/{linked}")


def collection_for(model: Content) -> str:
    """Where the statements about `model` are."""
    return f"{model.versioned.artifact}_{TYPE}"


def aliases(md5: str, found_by: Iterable[str]) -> list[str]:
    """The aliases of a statement about `md5`: the last one of all, and the last one by each digest of who signed."""
    return [f"attests-{md5}", *(f"attests-{md5}-{digest[:16]}" for digest in found_by)]


# ---- the registry that a statement is about ----


def describe_registry(connection: RegistryConnection, version: Version) -> dict[str, Any]:
    """The version of a model, as a byproduct of its statement, with the head of the log that tells of it."""
    collection = version.name.partition(":")[0]
    events = registry_state.events_in(connection, f"{connection.path}/{collection}")
    log = {"log": events[-1]["hash"]} if events else {}
    return {
        "name": form.REGISTRY,
        "uri": f"{connection.project_url}/{version.name}",
        "annotations": {"version": version.name, **log},
    }


def check_registry(stated: Statement, connection: RegistryConnection) -> None:
    """Raise OtherRegistryError where the statement is about a model in another registry than this one.

    A registry with a log is known by it, whatever its address; another one by its address.
    """
    told = statement.byproduct(stated, form.REGISTRY)
    if told is None:
        raise OtherRegistryError("the statement names no registry: it was made while none answered. Attest again.")
    address, facts = str(told.get("uri")), told.get("annotations", {})
    collection = str(facts.get("version")).partition(":")[0]
    if log := facts.get("log"):
        events = registry_state.events_in(connection, f"{connection.path}/{collection}") or []
        is_here = log in [event.get("hash") for event in events]
    else:
        is_here = address.startswith(f"{connection.project_url}/")
    if not is_here:
        raise OtherRegistryError(
            f"the statement is about {address}, and this is the registry {connection.project_url}: it was made for "
            "another one."
        )


# ---- written ----


def log(
    connection: RegistryConnection,
    model: Content,
    version: Version,
    files: Mapping[str, bytes],
    facts: Mapping[str, Any],
) -> str:
    """Log the `files` of a statement about the `version` of `model`; the name of the version that has them.

    Again with the same files changes nothing.
    """
    import wandb

    folder = temporary_folders.folder()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    key = hashlib.md5(b"".join(files.values())).hexdigest()[:16]
    settings = {**RUN_SETTINGS, "git_commit": facts["commit"]}
    arguments = {"name": "attest", "job_type": "attest", "id": f"attest-{key}", "resume": "allow"}
    with open_run(connection, settings, config={TYPE: dict(facts)}, **arguments) as run:
        run.use_artifact(version.name)
        artifact = wandb.Artifact(collection_for(model), TYPE, metadata={TYPE: dict(facts)})
        artifact.add_dir(str(folder), skip_cache=True, policy="immutable")
        logged = run.log_artifact(artifact, aliases=aliases(str(model.md5), facts["found_by"])).wait()
        return logged.name


def log_reproduction(connection: RegistryConnection, found: Attestation, facts: Mapping[str, Any]) -> str:
    """Log what became of running the commit of a statement again, as a run that used the statement; its address."""
    settings = {**RUN_SETTINGS, "git_commit": statement.commit(found.statement)}
    arguments = {"name": "reproduce", "job_type": REPRODUCE, "config": {REPRODUCTION: dict(facts)}}
    with open_run(connection, settings, **arguments) as run:
        run.use_artifact(found.version)
        run.summary["holds"] = facts["holds"]
        return run.url or run.path


# ---- read ----


def find(
    registry: RegistryProject,
    connection: RegistryConnection,
    collection: str,
    md5: str,
    trusted: Trusted,
) -> Attestation:
    """The statement about the model `md5` by whom one trusts, verified.

    Raises DvcWandbError: of the key, the signature, the model, the registry; NotSignedError where there is none.
    """
    by_any, *by_trusted = (f"{collection}:{alias}" for alias in aliases(md5, trusted.found_by))
    registry.load_named([by_any, *by_trusted])
    version = next((found for name in by_trusted if (found := registry.version_named(name))), None)
    if version is None:
        other = registry.version_named(by_any)
        raise NotSignedError(
            f"the model {md5[:8]} was signed by another key ({other.name} is by {_signer(other)}), not by "
            f"{trusted.name}, which is {' and '.join(digest[:16] for digest in trusted.found_by)}."
            if other
            else f"the registry has no signed statement about the model {md5[:8]}; `{ATTEST}` makes one."
        )
    files = registry.read_files(version)
    if STATEMENT not in files:
        raise NotSignedError(f"{version.name} holds no {STATEMENT}.")
    stated = trusted.verify(bundle.parse(files[STATEMENT], version.name))
    check.check_is_about(stated, md5)
    check_registry(stated, connection)
    return Attestation(stated, version.name, files)


def _trusted(pipeline: Pipeline, name: str) -> Trusted:
    """Whom `meta.wandb.signed_by` names: a public key or certificates in the project. Raises KeyFileError."""
    return trust.trusted(str(pipeline.root / name))


def _signer(version: Version) -> str:
    signers = {alias.rpartition("-")[2] for alias in version.aliases if alias.count("-") == 2}
    return " and ".join(sorted(signers)) or "an unknown one"


def write_files(output: Path, files: Mapping[str, bytes]) -> None:
    """Write a statement to `output`, and the signature for model_signing beside it. Raises DvcWandbError."""
    beside = output.with_name(f"{output.name.removesuffix('.sigstore.json').removesuffix('.json')}.sig")
    for path, content in ((output, files[STATEMENT]), (beside, files[SIGNATURE])):
        try:
            path.write_bytes(content)
        except OSError as error:
            raise DvcWandbError(f"{path} can't be written: {error.strerror}.") from None


def describe(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: RegistryProject,
    execution: Execution,
    target: str,
    md5: str,
) -> str:
    """Half a sentence for a report: that the model is signed as `meta.wandb.signed_by` asks, or why not."""
    key_name = str(execution.meta["signed_by"])
    try:
        found = find(registry, connection, collection_of(pipeline, target), md5, _trusted(pipeline, key_name))
    except RegistryUnavailableError:
        raise
    except DvcWandbError as error:
        return f"not signed by {key_name}: {error_reason(error)}"
    materials = len(statement.materials(found.statement))
    said = f"signed by {key_name}, materials {materials} at the commit {statement.commit(found.statement)[:10]}"
    by_signer = statement.byproduct(found.statement, form.REPRODUCTION)
    told = [f"reproduced by the signer's word {reproduction.described(by_signer)}"] if by_signer else []
    return "; ".join([said, *told, *_reproductions(connection, found)])


def _reproductions(connection: RegistryConnection, found: Attestation) -> Iterator[str]:
    """What became of each run of a statement's commit that somebody logged."""
    for run in public_api().artifact(f"{connection.path}/{found.version}").used_by():
        if run.job_type == REPRODUCE and isinstance(facts := run.config.get(REPRODUCTION), dict):
            yield f"reproduced on {facts.get('host')}: {facts.get('verdict')}"


# ---- compared ----


def drifts(
    pipeline: Pipeline,
    connection: RegistryConnection,
    registry: RegistryProject,
    execution: Execution,
    target: str,
    md5: str,
) -> Iterator[Drift]:
    """What keeps the model in production from being signed as `meta.wandb.signed_by` of the promoting stage asks."""
    key_name = execution.meta.get("signed_by")
    if not key_name:
        return
    wanted = f"{target} {md5[:8]} has a statement signed by {key_name}"
    mend = f"{ATTEST}, by who has the private key of {key_name}"
    try:
        found = find(registry, connection, collection_of(pipeline, target), md5, _trusted(pipeline, str(key_name)))
        at_its_commit = check.pipeline_at_its_commit(found.statement, pipeline.root)
        differences = check.compare(found.statement, at_its_commit, read_bytes=False).differences
    except RegistryUnavailableError:
        raise
    except KeyFileError as error:
        back = remedies.for_missing_file(pipeline.dvc, str(key_name)).rstrip(".")
        yield Drift("no key", str(key_name), wanted, error_reason(error), back)
    except NotSignedError as error:
        yield Drift("not signed", str(key_name), wanted, error_reason(error), mend)
    except DvcWandbError as error:
        yield Drift("signature refused", str(key_name), wanted, error_reason(error), mend)
    else:
        for difference in differences:
            what = f"{found.version}: {difference}"
            yield Drift("other materials", str(key_name), f"{target} {md5[:8]} was made as dvc.lock says", what, mend)
