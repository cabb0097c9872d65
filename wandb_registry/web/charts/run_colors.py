"""The colour of each run: ten of them, then the same dashed, then dotted, in the order in which the runs began."""

from typing import Any

from wandb_registry.db.connection import Connection

Row = dict[str, Any]
COLORS, PATTERNS = 10, ("", "dash", "dot")

# Deleted runs count too, so that no other run changes its colour with them. Each run counts those since the chosen one
# before it, so that a page of 50 runs counts a project once and not fifty times.
PLACES = """
with chosen as (
  select run.id, run.project_id, lag(run.id, 1, 0) over (partition by run.project_id order by run.id) as since
    from run
   where run.id in (select value from json_each(:ids))
),
counted as (
  select chosen.id, chosen.project_id,
         (select count(*)
            from run
           where run.project_id = chosen.project_id and run.id >= chosen.since and run.id < chosen.id)
         + (select count(*)
              from deleted_run as gone
             where gone.project_id = chosen.project_id and gone.id >= chosen.since and gone.id < chosen.id) as runs
    from chosen
)
select id, sum(runs) over (partition by project_id order by id) as place from counted
"""


def css_class(place: int) -> str:
    """The classes of a swatch: 's3', 's1 dash'."""
    return f"s{place % COLORS + 1} {PATTERNS[place // COLORS % len(PATTERNS)]}".strip()


def places(db: Connection, runs: list[Row]) -> dict[int, int]:
    """The place of each run among all runs of its project, by its id."""
    ids = "[" + ",".join(str(run["id"]) for run in runs) + "]"
    return {row["id"]: int(row["place"]) % (COLORS * len(PATTERNS)) for row in db.all(PLACES, ids=ids)}
