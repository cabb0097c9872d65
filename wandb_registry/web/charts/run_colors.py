"""The colour of each run: ten of them, then the same dashed, then dotted, in the order in which the runs began."""

from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]
COLORS, PATTERNS = 10, ("", "dash", "dot")

# Deleted runs count too, so that no other run changes its colour with them.
PLACES = """
select run.id,
       (select count(*) from run as before where before.project_id = run.project_id and before.id < run.id)
       + (select count(*) from deleted_run where project_id = run.project_id and deleted_run.id < run.id) as place
  from run
 where run.id in (select value from json_each(:ids))
"""


def css_class(place: int) -> str:
    """The classes of a swatch: 's3', 's1 dash'."""
    return f"s{place % COLORS + 1} {PATTERNS[place // COLORS % len(PATTERNS)]}".strip()


def places(db: Connection, runs: list[Row]) -> dict[int, int]:
    """The place of each run among all runs of its project, by its id."""
    ids = "[" + ",".join(str(run["id"]) for run in runs) + "]"
    return {row["id"]: row["place"] % (COLORS * len(PATTERNS)) for row in db.all(PLACES, ids=ids)}
