"""The activity log in words: who did what, when, and through which run."""

from dataclasses import dataclass
from typing import Any

from wandb_registry.model import access
from wandb_registry.web import addresses
from wandb_registry.web.shell import Visit

Row = dict[str, Any]
ICONS = {"alias": "tag", "link": "link", "log": "dataset", "unlink": "down", "delete": "down"}

GONE = ("delete", "unlink", "delete collection")


@dataclass(frozen=True)
class ActivityLine:
    """One line of the log. `words` are told around the `subject`, which has an address."""

    icon: str
    who: str
    verb: str
    what: str
    rest: str
    address: str
    place: str
    at: str
    run: tuple[str, str] | None
    commit: str | None


def told(visit: Visit, event: Row) -> ActivityLine:
    """An event of a collection as a sentence: 'mika moved production from v1 to v2'. Unseen runs are left out."""
    verb, what, rest = _sentence(event)
    version = event["after"] if event["action"] == "alias" else event["name"]
    project = {"entity_name": event["entity_name"], "name": event["project_name"]}
    collection = {"kind": event["kind"], "name": event["collection_name"]}
    if version and _number(version) >= 0 and event["action"] not in GONE:
        address = addresses.of_version(collection, project, event["type_name"], version)
    else:
        address = addresses.of_collection(collection, project, event["type_name"])
    return ActivityLine(
        ICONS.get(event["action"], "model"),
        event["who"],
        verb,
        what,
        rest,
        address,
        event["collection_name"],
        event["at"],
        *_origin(visit, event),
    )


def _sentence(event: Row) -> tuple[str, str, str]:
    """The verb, what it was done to, and how."""
    name, before, after = event["name"], event["before"], event["after"]
    if event["action"] == "alias":
        if after is None:
            return "took", name, f"from {before}"
        if before is None:
            return "set", name, f"on {after}"
        return ("rolled back" if _number(after) < _number(before) else "moved"), name, f"from {before} to {after}"
    verbs = {"log": "logged", "link": "linked", "unlink": "unlinked", "delete": "deleted"}
    if event["action"] in verbs:
        return verbs[event["action"]], name, ""
    if event["action"] == "rename":
        return "renamed", before, f"to {after}"
    if event["action"] == "type":
        return "changed", "the type", f"from {before} to {after}"
    return event["action"], name or "", ""


def _number(version: str) -> int:
    return int(version[1:]) if version[:1] == "v" and version[1:].isdecimal() else -1


def _origin(visit: Visit, event: Row) -> tuple[tuple[str, str] | None, str | None]:
    """The run that made the version, with its address, and its commit."""
    if event["run"] is None:
        return None, None
    entity, project, name = event["run"].split("/", 2)
    if access.find_project(visit.db, visit.who, entity, project) is None:
        return None, None
    return (name, addresses.run(entity, project, name)), event["git_commit"]
