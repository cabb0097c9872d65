"""Completes commits of a partial clone (`git clone --filter=…`), which has a file's bytes only once git has read them.

DVC reads commits with a library of its own, which fetches nothing, and would wait for ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from dvc_wandb.project.git import commands as git

FAILURE = "this clone is partial, and git can't fetch what it lacks"
FETCH = ("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--no-tags", "--no-write-fetch-head", "--filter=blob:none")


def complete(root: Path, commits: Iterable[str]) -> None:
    """Fetch what this clone lacks of `commits`, all at once. Raises ProjectError if git can't."""
    remote = _remote(root)
    lacking: list[str] = []
    while remote and (missing := _missing_objects(root, commits)) and missing != lacking:
        if not lacking:
            print("dvc-wandb: fetching what this partial clone lacks …", file=sys.stderr, flush=True)
        lacking = missing  # trees first, where it lacks these too
        git.output(root, *FETCH, "--stdin", remote, failure=FAILURE, stdin="\n".join(lacking))


def _remote(root: Path) -> str | None:
    """The remote that has what this clone lacks; None if the clone isn't partial."""
    promisors = git.output_or_none(root, "config", "--name-only", "--get-regexp", r"^remote\..*\.promisor$")
    return promisors.splitlines()[0].removeprefix("remote.").removesuffix(".promisor") if promisors else None


def _missing_objects(root: Path, commits: Iterable[str]) -> list[str]:
    """The objects in the trees of `commits` that this clone lacks."""
    arguments = ("rev-list", "--objects", "--no-walk=unsorted", "--missing=print", "--stdin")
    listed = git.output(root, *arguments, failure=FAILURE, stdin="\n".join(commits))
    return [line.removeprefix("?") for line in listed.splitlines() if line.startswith("?")]
