"""What forms change of a run, on its own page and for those that are selected in a list."""

import json
from typing import Any

from wandb_registry.errors import BadInput, Conflict
from wandb_registry.model import names, projects
from wandb_registry.model.runs import runs
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]


def save(request: PageRequest, run: Row, values: Row) -> None:
    """Sets fields of a run, by their names in the public API. Raises what the model refuses."""
    runs.upsert(request.db, request.viewer, run["id"], values)


def add_tag(request: PageRequest, run: Row, tag: str) -> None:
    """Raises BadInput for what is no tag."""
    save(request, run, {"tags": list(dict.fromkeys([*tags(run), names.tag(tag)]))})


def drop_tag(request: PageRequest, run: Row, tag: str) -> None:
    save(request, run, {"tags": [kept for kept in tags(run) if kept != tag]})


def tags(run: Row) -> list[str]:
    return [str(tag) for tag in json.loads(run["tags"])]


def stop(request: PageRequest, run: Row) -> None:
    """Raises Conflict for a run that has ended."""
    if runs.state(run) not in runs.UNDER_WAY:
        raise Conflict("The run has ended already.")
    runs.ask_to_stop(request.db, request.viewer, run)


def target(request: PageRequest, text: str, own_entity: str) -> Row:
    """The project to move runs to, NAME of `own_entity` or ENTITY/NAME, which is made if need be. Raises BadInput."""
    entity, _, name = text.strip().rpartition("/")
    if not name:
        raise BadInput("Name the project to move to, as NAME or as ENTITY/NAME.")
    return projects.ensure(request.db, request.viewer, entity or own_entity, name)
