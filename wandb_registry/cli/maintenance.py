"""The commands `log`, `check`, `gc`, `backup`, `keep`, `usage` and `protect`, which look after a store."""

import argparse
import json
import math
import re
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from wandb_registry import maintenance
from wandb_registry.cli import command, locks, retention
from wandb_registry.errors import BadInput
from wandb_registry.listener import refuse_other_machine
from wandb_registry.model import access, activity_log
from wandb_registry.model.accounts import users
from wandb_registry.model.artifacts import protected_aliases
from wandb_registry.store import Store, open_store

ZONE = re.compile(r"(?<=\d)(Z|[+-]\d\d:?\d\d)$")
NAME_LOCKS = (
    "Name them all, and what none needs goes: in each project that pushes there, "
    "git log --all -m -p -- '*dvc.lock' '*.dvc' > locks.txt; then 'wandb-registry gc --needed-by locks.txt'"
)
EVENT_WORDS = {"log": "logged", "link": "linked", "unlink": "unlinked", "delete": "deleted"}


def add_to(commands) -> None:
    """Adds the commands of this module, and `keep` and `usage`, to the command line."""
    log = _command(commands, "log", "print who did what to a collection, registry or team, and when", _log)
    what = log.add_mutually_exclusive_group(required=True)
    what.add_argument("name", nargs="?", help="its name, such as MNIST-dev, or its address: ENTITY/PROJECT/COLLECTION")
    what.add_argument("--head", action="store_true", help="print the hash of the last event alone, to keep elsewhere")
    log.add_argument("--at", metavar="TIME", help="tell which version each alias named then: 2026-11-23T08:00 (UTC)")
    log.add_argument("--json", action="store_true", help="one JSON object a line")

    check = _command(commands, "check", "prove the store whole: records, contents, activity log", _check)
    check.add_argument("--head", metavar="HASH", help="what 'log --head' printed: the log must still hold that event")
    gc = _command(commands, "gc", "remove unfinished uploads, expired versions, and what nothing refers to", _gc)
    gc.add_argument(
        "--grace",
        type=_hours,
        default=24,
        metavar="HOURS",
        help="spare what is younger (default: 24); with 0, uploads that are under way have to be repeated",
    )
    locks.add_to(gc, "In a bucket, without it no content is removed: it is a DVC remote too")
    _command(commands, "backup", "copy the store into a new folder", _backup).add_argument("folder", type=Path)
    retention.add_to(partial(_command, commands))
    protect = _command(commands, "protect", "let only admins of a project or registry move these aliases", _protect)
    protect.add_argument("project", metavar="ENTITY/PROJECT")
    protect.add_argument("aliases", nargs="*", metavar="ALIAS", help="none: anybody who may link may move any alias")


def _command(commands, name: str, text: str, run) -> argparse.ArgumentParser:
    return command(commands, name, text, lambda folder, options: _in_store(folder, options, run))


def _in_store(folder: Path, options: argparse.Namespace, run) -> int:
    refuse_other_machine(folder)
    store = open_store(folder)
    with closing(store.db):
        return run(store, options) or 0


def _log(store: Store, options: argparse.Namespace) -> None:
    with store.db.read() as db:
        if options.head:
            print(activity_log.head(db))
            return
        rows = (
            activity_log.aliases_at(db, options.name, _utc(options.at))
            if options.at
            else activity_log.named(db, options.name)
        )
    for row in rows:
        _print(options.json, row)


def _print(as_json: bool, row: dict) -> None:
    if as_json:
        print(json.dumps(row))
    elif "action" not in row:
        print(f"{row['collection']}:{row['version']}  {row['alias']}")
    else:
        origin = (
            f"  ({', '.join(filter(None, (row['source'], row['run'], row['git_commit'])))})" if row["source"] else ""
        )
        print(f"{row['at']}  {row['who']}  {_sentence(row)}{origin}")


def _sentence(event: dict) -> str:
    subject, name, before, after = (event[key] for key in ("subject", "name", "before", "after"))
    if event["action"] in EVENT_WORDS:
        return f"{EVENT_WORDS[event['action']]} {subject}{f':{name}' if name else ''}"
    change = f"{before or 'nothing'} → {after or 'nothing'}" if before or after else ""
    return " ".join(filter(None, (event["action"], subject, name, change)))


def _hours(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (hours := float(text)) < math.inf:
            return hours
    raise argparse.ArgumentTypeError(f"'{text}' is not a number of hours, 0 or more.")


def _utc(text: str) -> str:
    """A time in the log's format. Without a zone it is UTC; a day, an hour or a minute means its last millisecond."""
    try:
        time = datetime.fromisoformat(text)
        digits = sum(map(str.isdigit, ZONE.sub("", text)))
        if digits <= len("20261123"):
            time = time.replace(hour=23)
        if digits <= len("2026112308"):
            time = time.replace(minute=59)
        if digits <= len("202611230800"):
            time = time.replace(second=59, microsecond=999000)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"'{text}' is not a time. Write it like 2026-11-23 or 2026-11-23T08:00.") from None
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def _check(store: Store, options: argparse.Namespace) -> int:
    report = maintenance.check(store, options.head)
    for fault in report.faults:
        print(fault)
    for md5 in report.orphans:
        print(f"orphan {md5}")
    for md5 in report.young:
        print(f"orphan {md5} (since less than a day: an upload may be under way)")
    if report.orphans:
        size = report.orphan_bytes / 2**20
        print(f"{len(report.orphans)} contents ({size:.1f} MiB) have no reference; 'wandb-registry gc' removes them.")
    print(f"{report.versions} versions, {report.contents} contents, {report.events} events: ", end="")
    print(f"{len(report.faults)} faults" if report.faults else "all there")
    return 1 if report.faults else 0


def _gc(store: Store, options: argparse.Namespace) -> None:
    removed = maintenance.collect(store, options.grace * 3600, locks.md5s_of(options.needed_by))
    print(
        f"Removed {removed.pending} unfinished versions, {removed.expired} expired versions, "
        f"{removed.contents} contents ({removed.bytes / 2**20:.1f} MiB)."
    )
    for left, why in (
        (removed.needed, "a lock needs them"),
        (removed.foreign, "the registry never had them; DVC or somebody else put them there"),
        (removed.doubtful, f"a dvc.lock of any commit may need them. {NAME_LOCKS}"),
    ):
        if left.contents:
            print(f"Left {left.contents} contents ({left.bytes / 2**20:.1f} MiB) that no version or run has: {why}.")


def _backup(store: Store, options: argparse.Namespace) -> None:
    contents = maintenance.backup(store, options.folder)
    print(f"Copied the records and {contents} contents to {options.folder}. REGISTRY_DIR={options.folder} serves them.")


def _protect(store: Store, options: argparse.Namespace) -> None:
    entity, _, name = options.project.partition("/")
    with store.db.write() as db:
        project = access.project(db, users.OPERATOR, entity, name, access.Role.ADMIN)
        protected_aliases.replace(db, users.OPERATOR, project, options.aliases)
    print(f"Only admins move these aliases of {options.project}: {', '.join(options.aliases) or 'none'}.")
