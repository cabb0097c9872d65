"""dvc-wandb attest: a signed statement of what a model was made from, for others to check."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from dvc_wandb import content_alias
from dvc_wandb.client.connection import RegistryConnection, connect, start_sdk
from dvc_wandb.errors import DvcWandbError, RegistryUnavailableError, error_reason
from dvc_wandb.production import approvals, history, registry_state
from dvc_wandb.production.promoting_stage import PromotingStage, find_promoting_stage
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name, project_root
from dvc_wandb.provenance import digests, model_signature, reproduction, statement, subjects, trust
from dvc_wandb.provenance.subjects import Subject
from dvc_wandb.provenance.trust import Signer
from dvc_wandb.sync import attestations
from dvc_wandb.sync.mirrored_project import MirroredProject


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "attest",
        help="sign a statement of what a model was made from, and keep it beside the model",
        description="Makes an in-toto statement with SLSA's provenance of the model in production, or of any out as it "
        "is committed: the digests of its bytes and of all that it was made from, commands, parameters, the commit, "
        "who decided. Signs it and logs it to the registry, beside the model.",
    )
    parser.add_argument(
        "target", nargs="?", metavar="PATH|MODEL", help="an out, or a registered model (default: what is in production)"
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--key", metavar="KEY", type=Path, help="the private key that signs, a PEM file")
    how.add_argument(
        "--keyless",
        action="store_true",
        help="sign by signing in to Sigstore instead: in a browser, as a CI job, or by the token in "
        "SIGSTORE_IDENTITY_TOKEN; its log, which is public, then names you and the model's digest",
    )
    parser.add_argument(
        "--certificate",
        metavar="FILE",
        type=Path,
        help="with --key: the key's certificate, and after it those that vouch for it, in one PEM file",
    )
    parser.add_argument("--issuer", metavar="URL", help="with --keyless: where one signs in (default: Sigstore's own)")
    parser.add_argument(
        "--trust-config", metavar="FILE", type=Path, help="with --keyless: the servers and keys of one's own Sigstore"
    )
    parser.add_argument(
        "--reproduced",
        metavar="FILE",
        type=Path,
        help="state also what became of running the commit again, by FILE, which `dvc-wandb reproduce --json` printed: "
        "what was equal, within the tolerance and different, on which machine",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="also write the statement to FILE, such as model.h5.sigstore.json, and a signature for model_signing to "
        "model.h5.sig; then the registry may be away",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    signer = _signer(arguments)
    pipeline = Pipeline(project_root())
    subject, decision = find_subject(pipeline, arguments.target)
    run_again = arguments.reproduced and reproduction.byproduct(arguments.reproduced, subject.pipeline, subject.out)
    connection = _connect(pipeline, lenient=bool(arguments.output))
    version = None
    if connection:
        version = MirroredProject(connection).version_of(subject.out.versioned)
        if version is None:
            is_here = any(out.md5 == subject.out.md5 for one in pipeline.locked() for out in one.outs)
            raise DvcWandbError(
                f"the registry has no version of {subject.out.path} {str(subject.out.md5)[:8]} to keep a statement "
                f"beside; `dvc-wandb mirror{'' if is_here else ' --all-commits'}` logs it."
            )
    in_registry = attestations.describe_registry(connection, version) if connection and version else None
    approval = _approval(pipeline, connection, decision, str(subject.out.md5)) if connection and decision else None
    stated = statement.make(
        subject.pipeline,
        subject.out,
        lambda content: statement.full_digest(subject.pipeline, content),
        [decision, approval, in_registry, run_again],
    )
    files = {
        attestations.STATEMENT: signer.seal(stated),
        attestations.SIGNATURE: signer.seal(_model_statement(subject)),
    }
    if arguments.output:
        attestations.write_files(arguments.output, files)
    materials, commit = len(statement.materials(stated)), statement.commit(stated)
    where = str(arguments.output)
    if connection and version:
        facts = {
            "of": version.name,
            "path": subject.out.path,
            "md5": subject.out.md5,
            "signed_by": signer.name,
            "found_by": signer.found_by,
            "commit": commit,
            "materials": materials,
            **({"reproduced": reproduction.described(run_again)} if run_again else {}),
        }
        start_sdk()
        where = attestations.log(connection, subject.out, version, files, facts)
    packages = len(statement.packages(stated))
    count = _count(materials, "material") + (f", {_count(packages, 'package')}" if packages else "")
    what = f"{subject.out.path} {str(subject.out.md5)[:8]}"
    print(f"{where}: {what} from {count} at the commit {commit[:10]}, signed by {signer.name}")
    if run_again:
        print(f"reproduced {reproduction.described(run_again)}")
    return 0


def _signer(arguments: argparse.Namespace) -> Signer:
    """Who signs. Raises DvcWandbError for options that don't go together, and for what can't sign."""
    if arguments.certificate and not arguments.key:
        raise DvcWandbError("--certificate is about a key: give --key too.")
    if (arguments.issuer or arguments.trust_config) and not arguments.keyless:
        raise DvcWandbError("--issuer and --trust-config are about signing in to Sigstore: give --keyless too.")
    return trust.signer(arguments.key, arguments.certificate, arguments.issuer, arguments.trust_config)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def find_subject(pipeline: Pipeline, target: str | None) -> tuple[Subject, dict[str, Any] | None]:
    """The out or registered model that `target` means, by default the one in production, and who decided on it."""
    path = os.path.relpath(Path.cwd() / target, pipeline.root) if target else ""
    paths = {out.path for execution in pipeline.locked() for out in execution.outs}
    if name := next((one for one in (path, target) if one in paths), None):
        subject = subjects.of_path(pipeline, name)
        try:
            stage = find_promoting_stage(pipeline)
        except DvcWandbError:  # nothing here is ever in production
            return subject, None
        return subject, statement.decision(pipeline, stage.record_path, str(subject.out.md5))
    if not pipeline.stages_with_meta("promotes"):
        what = f"'{target}' is no out in dvc.lock" if target else "name an out"
        raise DvcWandbError(f"{what}: no stage here promotes, so no registered model is in production.")
    stage = find_promoting_stage(pipeline)
    md5 = _md5_in_production(stage, target)
    return subjects.of_model(pipeline, md5), statement.decision(pipeline, stage.record_path, md5)


def _approval(
    pipeline: Pipeline, connection: RegistryConnection, decision: dict[str, Any], md5: str
) -> dict[str, Any] | None:
    """Who asked for the model and who said yes, where that takes two."""
    stage = find_promoting_stage(pipeline)
    if not approvals.are_needed(pipeline, pipeline.workspace_execution(stage.name)):
        return None
    target = decision["annotations"]["registeredModel"]
    version = registry_state.find_version(connection, target, content_alias.make(md5))
    yes = approvals.last_approved(connection, version) if version else None
    return statement.approval(yes.asker, yes.decider or "", yes.reason, yes.decision or "") if yes else None


def _md5_in_production(stage: PromotingStage, name: str | None) -> str:
    source = history.committed(stage.root, stage.record_path)
    record = source.record if source else None
    if (
        record is None
        or record.model_md5 is None
        or (name and stage.registered_model_called(name) != record.registered_model)
    ):
        raise DvcWandbError(f"{stage.record_path} as it is committed has no {name or 'model'} in production.")
    return record.model_md5


def _connect(pipeline: Pipeline, lenient: bool) -> RegistryConnection | None:
    """The registry; None, and a word about it, where it is away and the statement goes to a file."""
    try:
        return connect(pipeline.root, project_name(pipeline.root), sdk=False)
    except RegistryUnavailableError as error:
        if not lenient:
            raise DvcWandbError(
                f"{error_reason(error)}, so the statement can't be kept beside the model; -o FILE writes it to a file."
            ) from None
        print(f"dvc-wandb: the statement names no registry: {error_reason(error)}.", file=sys.stderr)
        return None


def _model_statement(subject: Subject) -> dict[str, Any]:
    """What `model_signing verify` reads."""
    files = subject.pipeline.files(subject.out)
    sha256s = {name: digests.of_file(path)["sha256"] for name, path in files.items()}
    if not subject.out.is_folder:
        sha256s = dict.fromkeys([model_signature.WHOLE], next(iter(sha256s.values())))
    return model_signature.statement(Path(subject.out.path).name, sha256s)
