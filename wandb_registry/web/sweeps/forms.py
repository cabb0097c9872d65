"""The buttons of a sweep's page: pause, resume, stop, cancel."""

from wandb_registry.errors import BadInput
from wandb_registry.model.sweeps import sweeps
from wandb_registry.web.forms.undoing import UNDO, done, undone
from wandb_registry.web.sweeps import page
from wandb_registry.web.views import PageRequest, Redirect

STATES = {  # by what the form asks for, with the sentence that says so
    "pause": ("PAUSED", "{} is paused: its agents wait, what they are at goes on."),
    "resume": ("RUNNING", "{} goes on."),
    "stop": ("FINISHED", "{} was stopped: no agent gets another run."),
    "cancel": ("CANCELED", "{} was cancelled: its agents end the run that they are at."),
}


def change(request: PageRequest) -> Redirect:
    """Does what the form asks for. Raises BadInput, and what the model refuses."""
    project, sweep = page.find(request)
    action, here = request.form.get("do", ""), page.address(project, sweep)
    if action == UNDO:
        return Redirect(here, undone(request, lambda event: event["name"] == sweep["name"]))
    if action not in STATES:
        raise BadInput(f"'{action}' is nothing that this page can do.")
    state, sentence = STATES[action]

    def save() -> str:
        sweeps.upsert(request.db, request.viewer, sweep["id"], {"state": state})
        return sentence.format(sweep["display_name"] or sweep["name"])

    return done(request, here, save)
