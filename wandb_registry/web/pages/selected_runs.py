"""What a list of runs does with those that are selected: compares, tags, groups, stops, moves or deletes them.

The address of the list names them, `run=…&run=…`, and what is to be done, `ask=tag`. The page there asks before it is
done. All of them are changed, or none.
"""

from collections.abc import Callable
from typing import Any

from wandb_registry.errors import BadInput, Conflict, NotFound
from wandb_registry.model import access
from wandb_registry.model.access import Role
from wandb_registry.model.accounts import members
from wandb_registry.model.artifacts import lineage
from wandb_registry.model.runs import edits, runs
from wandb_registry.web import addresses, lookups
from wandb_registry.web.finding import saved_views
from wandb_registry.web.formats import plural
from wandb_registry.web.forms import run_changes
from wandb_registry.web.forms.undoing import UNDO, done, undone
from wandb_registry.web.pages import questions
from wandb_registry.web.pages.questions import PROJECT, Field, Question
from wandb_registry.web.views import Page, PageRequest, Redirect

Row = dict[str, Any]
COMPARE = "compare"
OF_SELECTION = ("run", "ask", "with")  # parameters of the address that are about the selection


def asked(request: PageRequest, project: Row) -> Page | Redirect | None:
    """The question that the address asks of the selected runs, or where they are compared; None if it asks nothing."""
    names = _names(request)
    if request.query.get("ask") == COMPARE:
        compare = addresses.join(project["entity_name"], project["name"], COMPARE)
        return Redirect(addresses.with_query(compare, {"run": names}))
    what = questions.asked(request, tuple(CHANGES))
    if what is None:
        return None
    selected = _selected(request, project, Role.VIEWER)
    question = _question(request, what, selected)
    if gone := len(names) - len(selected):
        question.warnings.append(f"{plural(gone, 'selected run')} can't be found any more: the others are meant.")
    return questions.page(request, project, question, _list(request), [], "projects", request.address)


def change(request: PageRequest) -> Redirect:
    """Does what a form of the list asks for, of the selected runs or of its views. Raises what the model refuses."""
    project, action = lookups.find_project(request), request.form.get("do", "")
    if action == UNDO:
        path = members.path(project)
        return Redirect(request.address, undone(request, lambda event: _belongs(event, path)))
    if action not in CHANGES:
        return saved_views.change(request, project)
    selected = _selected(request, project, Role.MEMBER)
    if action in IRREVERSIBLE:
        return Redirect(_list(request), CHANGES[action](request, selected))
    return done(request, _list(request), lambda: CHANGES[action](request, selected))


def _belongs(event: Row, path: str) -> bool:
    """Whether an event of the log is about a project, its views, or one of its runs."""
    subjects = [event["subject"], event["before"] if event["action"] == edits.MOVE else None]
    return any(subject == path or (subject or "").startswith(f"{path}/") for subject in subjects)


def _names(request: PageRequest) -> list[str]:
    return list(dict.fromkeys(request.query.getlist("run")))


def _selected(request: PageRequest, project: Row, needed: Role) -> list[Row]:
    """The runs that the address names, as far as there are such. Raises BadInput or NotFound where there are none."""
    if not _names(request):
        raise BadInput("No run is selected. Tick some in the list of runs first.")
    found = runs.named(request.db, project["id"], _names(request))
    if not found:
        raise NotFound("None of the selected runs can be found any more: they were deleted or moved.")
    return [access.run_by_id(request.db, request.viewer, row["id"], needed) for row in found]


def _list(request: PageRequest) -> str:
    """The list, without a selection."""
    kept = {key: request.query.getlist(key) for key in request.query if key not in OF_SELECTION}
    return addresses.with_query(request.address.partition("?")[0], kept)


# ---- what is asked ----


def _question(request: PageRequest, what: str, selected: list[Row]) -> Question:
    count, named = plural(len(selected), "run"), questions.listed([run["display_name"] for run in selected])
    if what == "tag":
        return Question(what, f"Tag {count}", "Add tag", [named], [], field=Field("tag", "Tag"))
    if what == "untag":
        held = sorted({tag for run in selected for tag in run_changes.tags(run)})
        told = f"Their tags: {questions.listed(held)}." if held else "None of them has a tag."
        return Question(what, f"Remove a tag from {count}", "Remove tag", [named, told], [], field=Field("tag", "Tag"))
    if what == "group":
        held = sorted({run["group_name"] for run in selected if run["group_name"]})
        told = f"Their groups now: {questions.listed(held)}." if held else "None of them is in a group."
        field = Field("group", "Group", "empty: in no group", required=False)
        return Question(what, f"Group {count}", "Set group", [named, told], [], field=field)
    if what == "move":
        facts = [named, "Their histories, consoles and files go along, and so does their lineage.",
                 "The versions that they logged stay in the project where they are."]  # fmt: skip
        return Question(what, f"Move {count} to another project", "Move runs", facts, [], field=PROJECT)
    if what == "stop":
        live = _under_way(selected)
        facts = [questions.listed([run["display_name"] for run in live]) or "None of them is under way."]
        facts.append("Their processes are told when they next report, and end: the runs count as killed.")
        if ended := len(selected) - len(live):
            facts.append(f"{plural(ended, 'run')} of the selection ended before: nothing happens to them.")
        warnings = ["A run that was stopped doesn't go on by itself."]
        return Question(what, f"Stop {plural(len(live), 'run')}?", "Stop runs", facts, warnings)
    facts = [named, "Their histories, consoles and files are removed."]
    logged = sum(
        artifact["run_id"] == run["id"] for run in selected for artifact in lineage.outputs(request.db, run["id"])
    )
    choice = f"Delete the {plural(logged, 'version')} too that they were the first to log" if logged else ""
    return Question(what, f"Delete {count}?", "Delete runs", facts, ["This can't be undone."], choice=choice)


def _under_way(selected: list[Row]) -> list[Row]:
    return [run for run in selected if runs.state(run) in runs.UNDER_WAY]


# ---- what is done ----


def _each(selected: list[Row], change: Callable[[Row], object]) -> None:
    """Changes each run. What is refused names the run, since all of them stay as they were then."""
    for run in selected:
        try:
            change(run)
        except (BadInput, Conflict) as error:
            if len(selected) == 1:
                raise
            raise type(error)(f"{run['display_name']}: {error} None of the {len(selected)} runs was changed.") from None


def _tag(request: PageRequest, selected: list[Row]) -> str:
    tag = request.form.get("tag", "").strip()
    _each(selected, lambda run: run_changes.add_tag(request, run, tag))
    return f"{plural(len(selected), 'run')} tagged {tag}."


def _untag(request: PageRequest, selected: list[Row]) -> str:
    tag = request.form.get("tag", "").strip()
    tagged = [run for run in selected if tag in run_changes.tags(run)]
    if not tagged:
        raise BadInput(f"None of these runs has the tag '{tag}'.")
    _each(tagged, lambda run: run_changes.drop_tag(request, run, tag))
    return f"Tag {tag} removed from {plural(len(tagged), 'run')}."


def _group(request: PageRequest, selected: list[Row]) -> str:
    group = request.form.get("group", "").strip()
    _each(selected, lambda run: run_changes.save(request, run, {"group_name": group}))
    return f"{plural(len(selected), 'run')} {f'put into the group {group}' if group else 'taken out of groups'}."


def _stop(request: PageRequest, selected: list[Row]) -> str:
    live = _under_way(selected)
    if not live:
        raise Conflict("None of these runs is under way.")
    _each(live, lambda run: run_changes.stop(request, run))
    return f"{plural(len(live), 'run')} told to stop when their processes next report."


def _move(request: PageRequest, selected: list[Row]) -> str:
    target = run_changes.target(request, request.form.get("project", ""), request.path["entity"])
    _each(selected, lambda run: runs.move(request.db, request.viewer, run, target))
    return f"{plural(len(selected), 'run')} moved to {members.path(target)}."


def _delete(request: PageRequest, selected: list[Row]) -> str:
    with_artifacts = bool(request.form.get("with_artifacts"))
    _each(selected, lambda run: runs.delete(request.db, request.viewer, run["id"], with_artifacts))
    return f"{plural(len(selected), 'run')} deleted."


IRREVERSIBLE = ("stop", "delete")
CHANGES: dict[str, Callable[[PageRequest, list[Row]], str]] = {
    "tag": _tag,
    "untag": _untag,
    "group": _group,
    "stop": _stop,
    "move": _move,
    "delete": _delete,
}
