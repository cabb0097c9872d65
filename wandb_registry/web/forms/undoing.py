"""Undo: the button behind a change, and in the list of activity. The log knows what was before."""

from collections.abc import Callable
from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.model import activity_log, undo
from wandb_registry.web.views import PageRequest, Redirect

Row = dict[str, Any]
UNDO = "undo"  # the form's `do`


def done(request: PageRequest, address: str, change: Callable[[], str]) -> Redirect:
    """Makes a change, which returns a sentence about it; the page at the address then offers to undo it."""
    before = activity_log.last_id(request.db)
    message = change()
    numbers = range(before + 1, activity_log.last_id(request.db) + 1)
    events = [activity_log.by_id(request.db, number) for number in numbers]
    return Redirect(address, message, tuple(event["id"] for event in events if undo.is_possible(request.db, event)))


def undone(request: PageRequest, belongs: Callable[[Row], bool]) -> str:
    """Takes back the events that the form names, the last first. `belongs` says whether one is this page's."""
    numbers = request.form.get("events", "").split()
    if not numbers or not all(number.isascii() and number.isdigit() and len(number) < 16 for number in numbers):
        raise BadInput("There is nothing to undo.")
    for number in sorted(map(int, numbers), reverse=True):
        if not belongs(activity_log.by_id(request.db, number)):
            raise BadInput("What is to be undone is nothing of this page.")
        undo.undo(request.db, request.viewer, number)
    return "Undone."
