"""The form of a statement as `dvc-wandb attest` makes it; whoever is trusted may sign something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dvc_wandb.provenance.errors import OtherFormError
from dvc_wandb.provenance.json_fields import field

Descriptor = dict[str, Any]

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://dvc.org/doc/command-reference/repro"
# Names among dependencies and byproducts
COMMIT, DECISION, APPROVAL, REGISTRY, REPRODUCTION = "commit", "decision", "approval", "registry", "reproduction"
PACKAGE = "pkg:"  # how the name of a package begins
PROVING = ("sha256", "dirHash")  # the digests of bytes that prove something


def check(stated: dict[str, Any]) -> None:
    """Raise OtherFormError for a statement of something else, or one that a field is wrong in."""
    if stated.get("predicateType") != PREDICATE_TYPE or _build_type(stated) != BUILD_TYPE:
        raise OtherFormError(
            f"the statement is none of the provenance of a DVC output ({PREDICATE_TYPE} with {BUILD_TYPE})."
        )
    try:
        _check_fields(stated)
    except ValueError as error:
        raise OtherFormError(f"the statement isn't of the form that `dvc-wandb attest` gives it: {error}.") from None


def is_package(descriptor: Descriptor) -> bool:
    """Whether it is a package of the lock file."""
    return str(descriptor.get("name")).startswith(PACKAGE) and "hashes" in descriptor.get("annotations", {})


def _build_type(stated: dict[str, Any]) -> Any:
    try:
        return field(stated, "predicate.buildDefinition.buildType", str)
    except ValueError:
        return None


def _check_fields(stated: dict[str, Any]) -> None:
    subjects = field(stated, "subject", list)
    if len(subjects) != 1:
        raise ValueError(f"it has {len(subjects)} subjects, and must have one")
    _each(subjects, "subject", _check_bytes)
    definition = field(stated, "predicate.buildDefinition", dict)
    field(definition, "externalParameters.stage", str)
    for name, stage in field(definition, "externalParameters.stages", dict).items():
        if not isinstance(stage, dict):
            raise ValueError(f"the stage {name} is no object")
    dependencies = field(definition, "resolvedDependencies", list)
    _each(dependencies, "dependency", _check_dependency)
    if len([one for one in dependencies if one["name"] == COMMIT]) != 1:
        raise ValueError("it must name one commit")
    _each(field(stated, "predicate.runDetails.byproducts", list, []), "byproduct", _check_byproduct)


def _each(descriptors: list[Any], what: str, check: Callable[[Descriptor], None]) -> None:
    """Check each descriptor, and name the one that is wrong by its number or name."""
    for number, one in enumerate(descriptors, 1):
        name = number
        try:
            name = field(one, "name", str)
            field(one, "annotations", dict, {})
            if not all(isinstance(value, str) for value in field(one, "digest", dict, {}).values()):
                raise ValueError("a digest of it is no text")
            check(one)
        except ValueError as error:
            raise ValueError(f"{what} {name}: {error}") from None


def _check_dependency(one: Descriptor) -> None:
    if one["name"] == COMMIT:
        _check_commit(one.get("digest", {}).get("gitCommit"))
    elif is_package(one):
        field(one, "annotations.hashes", list)
    elif "uri" not in one:  # what lies elsewhere has the digest that its place gives it, or none
        _check_bytes(one)
    readers = one.get("annotations", {}).get("readBy", [])
    if not isinstance(readers, list) or not all(isinstance(stage, str) for stage in readers):
        raise ValueError("its readBy are no stages")


def _check_bytes(one: Descriptor) -> None:
    digest = one.get("digest", {})
    if not any(digest.get(name) for name in PROVING):
        told = ", ".join(digest) or "no digest at all"
        raise ValueError(f"it has neither a {' nor a '.join(PROVING)}, so nothing proves its bytes (it has {told})")


def _check_byproduct(one: Descriptor) -> None:
    if one["name"] == DECISION:
        field(one, "annotations.record", str)
        _check_commit(field(one, "annotations.commit", str))
    elif one["name"] == REPRODUCTION:
        for name in ("verdict", "host", "processor", "packages"):
            field(one, f"annotations.{name}", str)


def _check_commit(commit: Any) -> None:
    if not isinstance(commit, str) or not re.fullmatch("[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise ValueError(f"{commit!r} is no full hash of a commit")
