"""The commands `keep` and `usage`: which versions may go, and who has how many bytes."""

import argparse
import json
import re
from collections import Counter
from typing import Any

from wandb_registry.cli import locks
from wandb_registry.model import access, retention
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import users
from wandb_registry.store import Store

AGE = re.compile(r"([1-9][0-9]{0,4})d")


def add_to(command) -> None:
    """Adds both; `command` adds one that works in a store."""
    keep = command("keep", "let old versions of a project go; without --delete only tell which, and their bytes", _keep)
    keep.add_argument("project", metavar="ENTITY/PROJECT")
    keep.add_argument("--last", type=_number, required=True, metavar="N", help="keep so many versions of each artifact")
    keep.add_argument("--older-than", type=_days, default=0, metavar="90d", help="keep what is younger")
    locks.add_to(keep, "Without it all that was mirrored from a dvc.lock is kept")
    keep.add_argument("--delete", action="store_true", help="do it; then 'wandb-registry gc' removes the bytes")
    keep.add_argument("--json", action="store_true", help="one JSON object")
    usage = command("usage", "print how many bytes each project and each user has", _usage)
    usage.add_argument("--json", action="store_true", help="one JSON object")


def _number(text: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text) < 10**9:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a number of versions, 1 or more.")


def _days(text: str) -> int:
    if found := AGE.fullmatch(text):
        return int(found[1])
    raise argparse.ArgumentTypeError(f"'{text}' is not an age. It is a number of days, such as 90d.")


def _keep(store: Store, options: argparse.Namespace) -> None:
    needed = locks.md5s_of(options.needed_by)
    entity, _, name = options.project.partition("/")
    with store.db.write() if options.delete else store.db.read() as db:
        project = access.project(db, users.OPERATOR, entity, name, Role.ADMIN)
        plan = retention.plan(db, project["id"], options.last, options.older_than, needed)
        if options.delete:
            retention.remove(db, plan)
    _tell(plan, options)


def _tell(plan: retention.Plan, options: argparse.Namespace) -> None:
    staying = [(_name(version), reason) for version, reason in plan.staying]
    if options.json:
        going = [_name(version) for version in plan.going]
        print(json.dumps({"deleted": options.delete, "going": going, "staying": dict(staying), "bytes": plan.bytes}))
        return
    for version in plan.going:
        print(f"{_name(version)}  {version['created_at']}  {_size(version['size'])}")
    reasons = Counter(re.sub(r"\b(named|held by a lock as) .*", r"\1", reason) for _, reason in staying)
    kept = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    print(f"{_versions(len(staying))} stay{f': {kept}' if kept else ''}.")
    done = "were deleted" if options.delete else "would be deleted with --delete"
    print(
        f"{_versions(len(plan.going))} {done}; {_size(plan.bytes)} are of no other, and free after 'wandb-registry gc'."
    )


def _versions(count: int) -> str:
    return f"{count} version{'s' if count != 1 else ''}"


def _name(version: dict[str, Any]) -> str:
    return f"{version['collection']}:v{version['version_index']}"


def _usage(store: Store, options: argparse.Namespace) -> None:
    with store.db.read() as db:
        usage = retention.usage(db)
    if options.json:
        print(json.dumps(usage))
        return
    for what, rows in usage.items():
        for row in rows:
            print(f"{what[:-1]:8}{row['name'] or '(nobody)':40}{_size(row['bytes']):>12}{row['contents']:>9,} contents")


def _size(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
