"""Has DVC run one stage in this process: what `dvc repro --single-item` does, with an exit status that says more."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

RAN, FAILED, UNCHANGED, ELSEWHERE = 0, 1, 100, 102  # exit statuses, beside guard.INTERRUPTED


def command_line(target: str) -> list[str]:
    """What DVC writes into its rwlock for the process of a stage."""
    return ["dvc", "repro", "--single-item", target]


def run(root: Path, target: str, force: bool, persists: bool) -> int:
    """Run the stage if something changed, waiting for DVC's lock as long as it takes. Says why it failed.

    `persists` if it has outputs that it goes on with.

    A stage that DVC finds in its run cache has run too: its outputs are checked out from there.
    """

    def work(repo: Any) -> int:
        if persists:
            _keep(repo, target, force)
        return reproduce(repo, target, force)

    return with_repo(root, target, work)


def run_without_command(
    root: Path, target: str, force: bool, elsewhere: Callable[[Any, Any], int] = lambda repo, stage: ELSEWHERE
) -> int:
    """The same, but what `elsewhere` says of DVC's repo and stage if it has a command to run."""

    def work(repo: Any) -> int:
        from dvc.repo import lock_repo

        with lock_repo(repo):
            (stage,) = repo.stage.collect(target)
            if stage.cmd and not stage.frozen and (force or stage.changed()):
                return elsewhere(repo, stage)
        return reproduce(repo, target, force)

    return with_repo(root, target, work)


def check_done(root: Path, target: str) -> int:
    """After a stage ran elsewhere: UNCHANGED, or ELSEWHERE if what it reads has changed since it began."""

    def work(repo: Any) -> int:
        with repo.lock:
            (stage,) = repo.stage.collect(target)
            always = stage.always_changed or stage.is_callback
            return ELSEWHERE if not always and stage.changed() else UNCHANGED

    return with_repo(root, target, work)


def with_repo(root: Path, target: str, work: Callable[[Any], int]) -> int:
    """What `work` does with DVC's repo, in the process of `target`. Says why it failed."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.ui import ui

    from dvc_wandb.errors import one_line
    from dvc_wandb.parallel import guard
    from dvc_wandb.project import dvc_errors

    for name in ("dvc", "dvc_objects", "dvc_data"):  # the launcher, which speaks for itself, silenced them
        logging.getLogger(name).setLevel(logging.INFO)
    os.chdir(root)
    sys.argv = command_line(target)
    ui.enable()
    try:
        with Repo(str(root), _wait_for_lock=True) as repo:
            repo.scm_context.quiet = True  # what git should be told is no news of each stage
            return work(repo)
    except KeyboardInterrupt:
        return guard.INTERRUPTED
    except DvcException as error:
        print(f"ERROR: {dvc_errors.reason(error)}", file=sys.stderr)
    except Exception as error:
        print(f"ERROR: failed to reproduce '{target}': {one_line(error)}", file=sys.stderr)
    return FAILED


def reproduce(repo: Any, target: str, force: bool) -> int:
    """Have DVC run the stage if something changed: RAN or UNCHANGED. Raises DvcException."""
    from dvc.repo.reproduce import reproduce

    return RAN if reproduce(repo, targets=[target], single_item=True, force=force) else UNCHANGED


def _keep(repo: Any, target: str, force: bool) -> None:
    from dvc_wandb.parallel import kept_outs

    with repo.lock:
        (stage,) = repo.stage.collect(target)
        kept_outs.keep(Path(repo.root_dir), target, stage, force)
