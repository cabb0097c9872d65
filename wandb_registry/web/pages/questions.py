"""Questions before what can't be undone: what goes, what stays, and what breaks."""

from dataclasses import dataclass
from typing import Any

from wandb_registry.errors import NotFound
from wandb_registry.model import access
from wandb_registry.model.artifacts import artifacts, dvc_md5, lineage, memberships, references
from wandb_registry.model.runs import run_files
from wandb_registry.web import lookups
from wandb_registry.web.formats import plural
from wandb_registry.web.views import Page, PageRequest

Row = dict[str, Any]
MOST_NAMES = 10  # in a sentence
IN_DVC = "dvc.lock may name it: 'dvc-wandb verify' would report it as missing, 'dvc-wandb mirror' log it again."


@dataclass(frozen=True)
class Field:
    """What a question wants to be typed: its name in the form, its label, and an example."""

    name: str
    label: str
    placeholder: str = ""
    required: bool = True


PROJECT = Field("project", "Project", "NAME or ENTITY/NAME")


@dataclass(frozen=True)
class Question:
    """What a page asks before a form is sent: the form's `do`, its button, and facts, of which some are warnings."""

    do: str
    head: str
    button: str
    facts: list[str]
    warnings: list[str]
    field: Field | None = None
    choice: str = ""  # a box to tick


def asked(request: PageRequest, known: tuple[str, ...]) -> str | None:
    """Which question the page is to ask: that of the address, or the one whose form was refused. Raises NotFound."""
    refused = request.refused.form.get("do", "") if request.refused else ""
    if refused in known:
        return refused
    what = request.query.get("ask")
    if what is not None and what not in known:
        raise NotFound(f"This page doesn't ask '{what}'. It may ask: {', '.join(known)}.")
    return what


def page(
    request: PageRequest, project: Row, question: Question, back: str, steps: list[Any], section: str, address: str = ""
) -> Page:
    """The page of a question. Its form goes to `address`, or else to `back`, where one also gets to by Cancel."""
    shown = {"title": question.head, "project": project, "question": question, "steps": steps, "section": section}
    return Page("question.html", shown | {"back": back, "address": address or back, "refused": request.refused})


# ---- a run ----

OF_RUN = ("stop", "move", "delete")


def of_run(request: PageRequest, run: Row, what: str) -> Question:
    name, logged = run["display_name"], lineage.outputs(request.db, run["id"])
    own = [artifact for artifact in logged if artifact["run_id"] == run["id"]]
    if what == "stop":
        facts = ["Its process is told when it next reports, and ends: the run counts as killed. What it logged stays."]
        return Question(what, f"Stop {name}?", "Stop run", facts, ["A run that was stopped doesn't go on by itself."])
    files = plural(run_files.count(request.db, run["id"]), "file")
    if what == "move":
        facts = [f"Its history, its console and its {files} go along, and so does its lineage."]
        if logged:
            facts.append(f"The {plural(len(logged), 'version')} that it logged stay in the project where they are.")
        return Question(what, f"Move {name} to another project", "Move run", facts, [], field=PROJECT)
    facts = [f"Its history, its console and its {files} are removed."]
    versions = listed([row["name"] for row in lookups.visible_versions(request, own)])
    if own:
        facts.append(f"{plural(len(own), 'version')} that it was the first to log: {versions}.")
    choice = f"Delete the {plural(len(own), 'version')} too" if own else ""
    return Question(what, f"Delete {name}?", "Delete run", facts, ["This can't be undone."], choice=choice)


# ---- a version ----

OF_VERSION = ("delete", "unlink")


def of_version(request: PageRequest, collection: Row, membership: Row, what: str) -> Question:
    name = f"{collection['name']}:{memberships.version(membership)}"
    if what == "unlink":
        held = lookups.alias_names(request, membership["id"])
        facts = ["The version itself stays where it was logged.", "Linked again, it gets another number here."]
        warnings = [f"Its aliases here go: {', '.join(held)}."] if held else []
        return Question(what, f"Unlink {name}?", "Unlink version", facts, warnings)
    artifact = artifacts.by_id(request.db, membership["artifact_id"])
    rows = memberships.of_artifact(request.db, artifact["id"])
    visible = access.visible(request.db, request.viewer, rows)
    held = [alias for row in visible for alias in lookups.alias_names(request, row["id"])]
    files, uses = plural(artifact["file_count"], "file"), len(lineage.users(request.db, artifact["id"]))
    facts = [f"Its {files} can't be downloaded any more. No other version gets its number."]
    warnings = [
        (held, f"It is used under {', '.join(dict.fromkeys(held))}."),
        (len(rows) > 1, f"It is linked to {plural(len(rows) - 1, 'registered model')}, which then lack it."),
        (uses, f"{plural(uses, 'run')} used it: their lineage loses it."),
        (any(map(dvc_md5.is_content_alias, held)), IN_DVC),
        (True, "This can't be undone."),
    ]
    facts += _kept_files(request, artifact)
    return Question(what, f"Delete {name}?", "Delete version", facts, [text for holds, text in warnings if holds])


def _kept_files(request: PageRequest, artifact: Row) -> list[str]:
    needed_by = references.needed_by(request.db, artifact["id"])
    return [f"{needed_by} refers to files of it: these are kept for it."] if needed_by else []


def listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
