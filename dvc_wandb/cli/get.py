"""dvc-wandb get: writes a model's bytes, of the one in production now or at a date, or of a version."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

from dvc_wandb.cli.provenance import trust_options
from dvc_wandb.client.versions import RegistryProject
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason
from dvc_wandb.production import history, registry_state
from dvc_wandb.production.promoting_stage import PromotingStage, find_promoting_stage
from dvc_wandb.production.registry_state import ALIAS
from dvc_wandb.project.git import revisions
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.provenance import check
from dvc_wandb.provenance.trust import Trusted
from dvc_wandb.sync import attestations, fetch
from dvc_wandb.sync.attestations import Attestation


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "get",
        help="fetch a registered model's bytes, checked against the record",
        description="Writes the bytes of a registered model: of what git's record has in production (NAME:production), "
        "of what it had at a date, or of a version or alias of the registry. From the workspace or DVC's cache where "
        "they hold it, else from the registry or DVC's remote; always checked against the md5.",
    )
    parser.add_argument("model", metavar="NAME[:ALIAS]", help="such as MNIST-dev:production, MNIST-dev:v2")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write it")
    parser.add_argument(
        "--at", metavar="DATE", help="what was in production then: 2026-11-01 (its end), 2026-11-01T14:30"
    )
    trust_options.add(
        parser,
        required=False,
        help="only if whom you trust signed a statement about it in the registry, which is written beside it",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    pipeline = Pipeline(project_root())
    stage = find_promoting_stage(pipeline)
    name, _, version = arguments.model.partition(":")
    version = version or ALIAS
    target = stage.registered_model_called(name)
    if arguments.at is not None and version != ALIAS:
        raise DvcWandbError(f"--at asks what was in production; leave out ':{version}', or the date.")
    output = Path(arguments.output)
    if output.is_dir():
        raise DvcWandbError(f"{output} is a folder; name the file to write in it, such as {output / 'model.h5'}.")
    md5, origin = (
        _md5_in_record(stage, target, arguments.at) if version == ALIAS else _md5_in_registry(stage, target, version)
    )
    is_asked = arguments.signed_by or arguments.issuer or arguments.trust_config
    signed = _signed(pipeline, stage, target, md5, trust_options.trusted(arguments)) if is_asked else None
    try:
        model_path = stage.query_registry(lambda: fetch.find_model(pipeline, target, md5, stage.connect))
    except RegistryUnavailableError as error:
        raise DvcWandbError(f"{error_reason(error)}, and only the registry has the model {md5}.") from None
    if signed:
        check.check_subject(signed.statement, model_path)
    _write(model_path, output)
    print(f"{output}: {target} {md5[:8]}, {origin}; md5 {md5} checked")
    if signed:
        beside = output.with_name(f"{output.name}.sigstore.json")
        attestations.write_files(beside, signed.files)
        print(f"{beside}: {signed.version}, signed by {arguments.signed_by}; `dvc-wandb check` says more")
    return 0


def _signed(pipeline: Pipeline, stage: PromotingStage, target: str, md5: str, trusted: Trusted) -> Attestation:
    """The statement about the model by whom one trusts. Raises DvcWandbError where there is none, or it isn't true."""

    def find() -> Attestation:
        connection = stage.connect()
        collection = attestations.collection_of(pipeline, target)
        return attestations.find(RegistryProject(connection), connection, collection, md5, trusted)

    try:
        return stage.query_registry(find)
    except RegistryUnavailableError as error:
        raise DvcWandbError(f"{error_reason(error)}, and only the registry has the statement about {md5}.") from None


def _md5_in_record(stage: PromotingStage, target: str, date: str | None) -> tuple[str, str]:
    """The md5 of the model in production now or at a date, and where that is recorded."""
    path, record, source = stage.record_path, stage.record(), stage.record_path
    if date is not None:
        period = history.period_at(history.from_git(stage.root, path), history.parse_moment(date))
        record, source = (period.record, f"{path} at the commit {str(period.commit)[:10]}") if period else (None, path)
    elif committed := history.committed(stage.root, path):
        record, source = committed.record, f"{path} at the commit {committed.commit[:10]}"
    if record is None or record.registered_model != target or record.model_md5 is None:
        when = f" at {date}" if date else ""
        incomplete = revisions.why_incomplete(stage.root) if date else None
        reason = f"; {incomplete}" if incomplete else ""
        raise DvcWandbError(f"{stage.record_path} has no model of {target} in production{when}{reason}.")
    return record.model_md5, f"in production by {source}"


def _md5_in_registry(stage: PromotingStage, target: str, version: str) -> tuple[str, str]:
    """The md5 of a version, by its number or an alias, and its number."""
    try:
        version_found = stage.query_registry(lambda: registry_state.find_version(stage.connect(), target, version))
    except RegistryUnavailableError as error:
        raise DvcWandbError(f"{error_reason(error)}, and only the registry knows what '{version}' is.") from None
    if version_found is None:
        raise DvcWandbError(f"{target} has no version or alias '{version}' in the registry.")
    if not version_found.md5:
        raise DvcWandbError(
            f"{target}:{version_found.version} was not made by this pipeline: there is no md5 to check it against."
        )
    return version_found.md5, f"{version_found.version} in the registry"


def _write(source: Path, output: Path) -> None:
    """Replace `output` in one step: a service may be reading it."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DvcWandbError(f"{output} can't be written: {error.strerror}.") from None
