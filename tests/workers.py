"""Which tests pytest-xdist gives to one worker: those that share a fixture which takes long, else those of a file.

`-n 4` in the Makefile: tests often wait, so four at a time keep two cores busy.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

# By how their files' names begin. They are handed out in this order, before all other files.
GROUPS = {
    "what the pipeline refuses": ("tests/e2e/test_bad_input", "tests/e2e/test_away"),
    "a shop": ("tests/e2e/test_promotion",),
    "the pipeline": ("tests/e2e/", "tests/browser/test_promotion"),
    "two projects": tuple(f"tests/dvc_wandb/test_{name}" for name in ("foreign", "interrupt", "report", "show", "why")),
    "a site": ("tests/browser/",),
}


def group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return next((name for name, files in GROUPS.items() if file.startswith(files)), file)


def rank(item: pytest.Item) -> int:
    return [*GROUPS, group(item.nodeid)].index(group(item.nodeid))


class Groups(LoadScopeScheduling):
    """xdist's own marks for this, `xdist_group`, need what pytest 9.2 no longer has."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
