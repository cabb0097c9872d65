"""Which tests pytest-xdist gives to one worker: those that share a fixture which takes long, else those of a file.

`-n 4` in the Makefile: tests often wait, so four at a time keep two cores busy.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

# By how their files' names begin
GROUPS = {
    "two projects": (
        "tests/dvc_wandb/projects/test_foreign",
        "tests/dvc_wandb/mirroring/test_interrupt",
        *(f"tests/dvc_wandb/reports/test_{name}" for name in ("report", "show", "why")),
    ),
    "a signed model": tuple(
        f"tests/dvc_wandb/production/test_{name}"
        for name in ("certificates", "provenance", "signed_reproduction", "sigstore_js")
    ),
    "a site": tuple(f"tests/browser/test_{name}" for name in ("models", "pages", "runs", "signin")),
}
# Handed out in this order, what takes longest first, so that no worker is left with it at the end
ORDER = ("tests/dvc_wandb/projects/test_foreign", "tests/e2e/", "tests/browser/", "tests/dvc_wandb/", "tests/")


def group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return next((name for name, files in GROUPS.items() if file.startswith(files)), file)


def rank(item: pytest.Item) -> int:
    return next(at for at, beginning in enumerate(ORDER) if item.nodeid.startswith(beginning))


class Groups(LoadScopeScheduling):
    """xdist's own marks for this, `xdist_group`, need what pytest 9.2 no longer has."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
