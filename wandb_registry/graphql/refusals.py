"""What was refused of the versions that a run logs, told on the run's page: the SDK says it in its own log alone."""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, RegistryError
from wandb_registry.model import access
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts.artifacts import Tell
from wandb_registry.model.runs import alerts

TITLES = {"alias": "An alias was refused", "tag": "A tag was refused"}


def run_of(info, given: dict[str, Any]) -> int | None:
    """The id of the run that logs a version; None if there is none that the viewer may write to."""
    if not given.get("run_name"):
        return None
    place = (given["entity_name"], given["project_name"], given["run_name"])
    try:
        return access.run(info.context.db, info.context.viewer, *place, Role.MEMBER)["id"]
    except RegistryError:
        return None


def teller(info, run_id: int | None, name: str) -> Tell:
    """Tells of an alias or a tag without which a version of the collection `name` is logged: the run's page, and in the
    answer whoever waits for it. If all of the version is refused, `tell` knows the run. Without one it is raised.
    """
    if run_id is not None:
        info.context.owners.append((run_id, name))

    def tell(what: str, error: RegistryError) -> None:
        if run_id is None:
            raise error
        told = f"{error} '{name}' was logged without it."
        alerts.tell(info.context.db, run_id, TITLES[what], told)
        if what == "alias":
            info.context.left_out.append(BadInput(told))

    return tell


def tell(db: Connection, owners: list[tuple[int, str]], error: RegistryError) -> None:
    """Tells the runs that a version of theirs was not logged, once the transaction is rolled back that refused it."""
    for run_id, name in owners:
        alerts.tell(db, run_id, "A version was not logged", f"{name}: {error}")
