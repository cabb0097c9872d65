"""Has DVC run one stage in this process: what `dvc repro --single-item` does, with an exit status that says more."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

RAN, FAILED, UNCHANGED = 0, 1, 100  # exit statuses, beside guard.INTERRUPTED


def run(root: Path, target: str, force: bool, persists: bool) -> int:
    """Run the stage if something changed, waiting for DVC's lock as long as it takes. Says why it failed.

    `persists` if it has outputs that it goes on with.

    A stage that DVC finds in its run cache has run too: its outputs are checked out from there.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.reproduce import reproduce
    from dvc.ui import ui

    from dvc_wandb.errors import one_line
    from dvc_wandb.parallel import guard, kept_outs
    from dvc_wandb.project import dvc_errors

    for name in ("dvc", "dvc_objects", "dvc_data"):  # the launcher, which speaks for itself, silenced them
        logging.getLogger(name).setLevel(logging.INFO)
    os.chdir(root)
    sys.argv = ["dvc", "repro", "--single-item", target]  # what DVC writes into its rwlock
    ui.enable()
    try:
        with Repo(str(root), _wait_for_lock=True) as repo:
            repo.scm_context.quiet = True  # what git should be told is no news of each stage
            if persists:
                with repo.lock:
                    (stage,) = repo.stage.collect(target)
                    kept_outs.keep(root, target, stage, force)
            stages = reproduce(repo, targets=[target], single_item=True, force=force)
        return RAN if stages else UNCHANGED
    except KeyboardInterrupt:
        return guard.INTERRUPTED
    except DvcException as error:
        print(f"ERROR: {dvc_errors.reason(error)}", file=sys.stderr)
    except Exception as error:
        print(f"ERROR: failed to reproduce '{target}': {one_line(error)}", file=sys.stderr)
    return FAILED
