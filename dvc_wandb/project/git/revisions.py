"""Which commits and experiments have something to mirror, oldest first."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dvc_wandb.errors import ProjectError
from dvc_wandb.project.git import commands as git

LOCKS = ("*dvc.lock", "*.dvc")  # a commit that changes none of these has the executions of the one before it
EXPERIMENT = re.compile(r"refs/exps/(?P<first>[0-9a-f]{2})/(?P<rest>[0-9a-f]{38})/(?P<name>.+)")


@dataclass(frozen=True)
class Revision:
    """A commit to read dvc.lock at, and the experiment that it is the result of."""

    commit: str
    experiment: str | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.experiment or self.commit[:10]


def all_commits(root: Path) -> list[Revision]:
    """The commits of every branch and tag, and of HEAD where it is on none, that changed a lock."""
    unborn = git.output_or_none(root, "rev-parse", "--verify", "--quiet", "HEAD") is None
    return _lock_commits(root, "--branches", "--tags", "--remotes", *([] if unborn else ["HEAD"]))


def commit_range(root: Path, commits: str) -> list[Revision]:
    """The commits that `git rev-list` takes `commits` for, such as `v1.0..main`, where they changed a lock."""
    if commits.startswith("-"):
        raise ProjectError(f"'{commits}' is no range of commits. Give one such as v1.0..main.")
    return _lock_commits(root, commits)


def tagged_commits(root: Path) -> list[Revision]:
    """The tagged commits."""
    return [Revision(sha) for sha in _lines(root, "rev-list", "--no-walk=sorted", "--reverse", "--tags")]


def experiments(root: Path) -> list[Revision]:
    """The results of DVC's experiments, each after the commit that it started from: what they share isn't its own.

    Those in queues and failed ones are left out.
    """
    found = _lines(root, "for-each-ref", "--sort=committerdate", "--format=%(objectname) %(refname)", "refs/exps")
    return list(_experiments(found))


def describe_commits(root: Path, commits: str) -> dict[str, tuple[str, str]]:
    """The day and the first line of each commit that `git log` takes `commits` for."""
    lines = _lines(root, "log", "--date=short", "--format=%H %cd %s", "--end-of-options", commits)
    commits_described = (line.split(" ", 2) for line in lines)
    return {sha: (date, subject) for sha, date, subject in commits_described}


def resolve_commit(root: Path, name: str) -> str:
    """The commit that `name` means."""
    return _lines(root, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")[0]


def named_commit(root: Path, name: str, purpose: str) -> str:
    """The commit that somebody named for a `purpose`. Raises ProjectError, which says so, where there is none."""
    try:
        return resolve_commit(root, name)
    except ProjectError:
        incomplete = why_incomplete(root)
        raise ProjectError(
            f"there is no revision '{name}' here {purpose}{f' ({incomplete})' if incomplete else ''}. "
            "In CI, check out with the whole history."
        ) from None


def why_incomplete(root: Path) -> str | None:
    """That git lacks a part of the history here, and how to get it; None where it has all."""
    if git.output_or_none(root, "rev-parse", "--is-shallow-repository") != "true":
        return None
    return "this clone is shallow: git's history is cut off; `git fetch --unshallow` brings the rest"


def how_to_fetch(root: Path, commit: str) -> str:
    """A sentence on the command that brings one commit, also from beyond a shallow clone's end or another branch."""
    remotes = (git.output_or_none(root, "remote") or "").split()
    if not remotes:
        return "this clone has no remote that could have it."
    remote = "origin" if "origin" in remotes else remotes[0]
    return f"`git fetch {remote} {shlex.quote(commit)}` brings it, if it is one of this project."


def shallow_boundary(root: Path) -> set[str]:
    """The commits at which the history of a shallow clone is cut off: what was before them isn't known."""
    file = git.output_or_none(root, "rev-parse", "--git-path", "shallow")
    return set((root / file).read_text().split()) if file and (root / file).exists() else set()


def _experiments(lines: list[str]) -> Iterator[Revision]:
    for line in lines:
        sha, _, ref = line.partition(" ")
        if match := EXPERIMENT.fullmatch(ref):
            yield Revision(match["first"] + match["rest"])
            yield Revision(sha, match["name"])


def _lock_commits(root: Path, *commits: str) -> list[Revision]:
    order = ("rev-list", "--reverse", "--date-order", "--full-history")
    return [Revision(sha) for sha in _lines(root, *order, *commits, "--", *LOCKS)]


def _lines(root: Path, *arguments: str) -> list[str]:
    return git.output(root, *arguments, failure="the history can't be read").splitlines()
