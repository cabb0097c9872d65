"""Words for events of the activity log: who did what, when, and through which run."""

import json
from dataclasses import dataclass
from typing import Any

from wandb_registry.model import access, activity_log, undo
from wandb_registry.model.artifacts import artifacts, protected_aliases, tags
from wandb_registry.model.runs import edits
from wandb_registry.web import addresses
from wandb_registry.web.formats import cut
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]
ICONS = {"alias": "tag", "link": "link", "log": "dataset", "unlink": "down", "delete": "down"}
LONGEST = 80  # characters of a text in a sentence
REQUESTS = {
    "ask": "asked for",
    "approve": "approved",
    "reject": "rejected",
    "withdraw": "took back",
    "replace": "replaced the request for",
}
REMOVALS = ("delete", "unlink", "delete collection")


@dataclass(frozen=True)
class ActivityLine:
    """The parts of a sentence such as 'mika moved production from v1 to v2', and the collection that it is about."""

    icon: str
    who: str
    verb: str
    subject: str  # production
    details: str  # from v1 to v2
    address: str
    collection: str
    at: str
    run: tuple[str, str] | None  # name and address of the run that made the version
    commit: str | None  # of that run
    undo: int | None = None  # the event, if it can be taken back


def run_lines(request: PageRequest, run: Row, may_change: bool) -> list[ActivityLine]:
    """What people did to a run."""
    path = edits.path(request.db, run)
    return [
        ActivityLine(
            "run", event["who"], *_sentence(event), "", "", event["at"], None, None, _undo(request, event, may_change)
        )
        for event in activity_log.of_subject(request.db, path)
    ]


def _undo(request: PageRequest, event: Row, may_change: bool) -> int | None:
    return event["id"] if may_change and undo.is_possible(request.db, event) else None


def activity_line(request: PageRequest, event: Row, may_change: bool = False) -> ActivityLine:
    """The line that a page shows for an event. It omits a run that the viewer may not see."""
    verb, subject, details = _sentence(event)
    version = event["after"] if event["action"] == "alias" else event["name"]
    project = {"entity_name": event["entity_name"], "name": event["project_name"]}
    collection = {"kind": event["kind"], "name": event["collection_name"]}
    if version and _version_index(version) >= 0 and event["action"] not in REMOVALS:
        address = addresses.page_of_version(collection, project, event["type_name"], version)
    else:
        address = addresses.page_of_collection(collection, project, event["type_name"])
    run, commit = _run(request, event)
    return ActivityLine(
        ICONS.get(event["action"], "model"),
        event["who"],
        verb,
        subject,
        details,
        address,
        event["collection_name"],
        event["at"],
        run,
        commit,
        _undo(request, event, may_change),
    )


def _sentence(event: Row) -> tuple[str, str, str]:
    """The verb, the subject and the details."""
    name, before, after = event["name"], event["before"], event["after"]
    if event["action"] == "alias":
        if after is None:
            return "took", name, f"from {before}"
        if before is None:
            return "set", name, f"on {after}"
        verb = "rolled back" if _version_index(after) < _version_index(before) else "moved"
        return verb, name, f"from {before} to {after}"
    verbs = {"log": "logged", "link": "linked", "unlink": "unlinked", "delete": "deleted"}
    if event["action"] in verbs:
        return verbs[event["action"]], name, ""
    if event["action"] in (tags.ADD, tags.DROP):
        where = f"{'to' if after else 'from'} {after or before}" if after or before else ""
        return ("added" if event["action"] == tags.ADD else "removed"), f"tag {name}", where
    if event["action"] in REQUESTS:
        return REQUESTS[event["action"]], f"{name} on {before}", f"({cut(after, LONGEST)})" if after else ""
    if event["action"] == protected_aliases.APPROVALS:
        return "let", name, f"move {after or 'by one person'}"
    if event["action"] == artifacts.DESCRIBE:
        return "described", name, f"as {cut(after, LONGEST)}" if after else "no more"
    if event["action"] == edits.EDIT:
        return "changed", f"the {name}", f"from {_text(before, name)} to {_text(after, name)}"
    if event["action"] == edits.MOVE:
        return "moved", "it", f"from {_project(before)} to {_project(after)}"
    if event["action"] == "stop run":
        return "asked", "it", "to stop"
    if event["action"] == "rename":
        return "renamed", before, f"to {after}"
    if event["action"] == "type":
        return "changed", "the type", f"from {before} to {after}"
    return event["action"], name or "", ""


def _text(text: str | None, name: str) -> str:
    """A value of a run for a sentence; tags are stored as JSON."""
    if text is None:
        return "none"
    return cut(", ".join(map(str, json.loads(text))) if name == "tags" else text, LONGEST)


def _project(path: str) -> str:
    return path.rpartition("/")[0]


def _version_index(version: str) -> int:
    """3 of v3; -1 of anything else."""
    return int(version[1:]) if version[:1] == "v" and version[1:].isdecimal() else -1


def _run(request: PageRequest, event: Row) -> tuple[tuple[str, str] | None, str | None]:
    """The run that made the version, with its address, and its commit."""
    if event["run"] is None:
        return None, None
    entity, project, name = event["run"].split("/", 2)
    if access.find_project(request.db, request.viewer, entity, project) is None:
        return None, None
    return (name, addresses.run(entity, project, name)), event["git_commit"]
