"""Charts that a user specified in Vega or Vega-Lite. A run's config names one as `entity/name`.

Members of an entity make, replace and delete its charts. A private chart is seen by whoever belongs to the entity, a
public one by every account.
"""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, NotFound
from wandb_registry.model import access, activity_log, names
from wandb_registry.model.access import Role, Viewer

Row = dict[str, Any]
SAVE, DELETE = "custom chart", "delete custom chart"
LONGEST_NAME, LARGEST_SPEC, DEEPEST_SPEC = 128, 2**20, 64
TYPES = {"vega2"}
ACCESS = {"PRIVATE", "PUBLIC"}

PUT = """
insert into custom_chart (entity_id, name, display_name, access, spec, user_id)
values (:entity, :name, :display_name, :access, :spec, :user)
    on conflict (entity_id, name) do update
   set display_name = excluded.display_name, access = excluded.access, spec = excluded.spec, user_id = excluded.user_id
"""
CHARTS = """
select custom_chart.*, entity.name as entity_name, account.username
  from custom_chart
  join entity on entity.id = custom_chart.entity_id
  left join account on account.id = custom_chart.user_id
 order by entity.name, custom_chart.name
"""
CHART = """
select custom_chart.*, entity.name as entity_name
  from custom_chart
  join entity on entity.id = custom_chart.entity_id
 where entity.name = :entity and custom_chart.name = :name
"""


def save(db: Connection, viewer: Viewer, entity_name: str, chart: Row) -> str:
    """Makes a chart, or replaces the one of its name. Returns its id, `entity/name`.

    `chart` has `name`, `display_name`, `type`, `access` and `spec`, which is JSON. Raises BadInput, and NotFound or
    Forbidden for an entity in which the viewer may not write.
    """
    entity = access.entity(db, viewer, entity_name, Role.MEMBER)
    name = chart["name"]
    if not name or len(name) > LONGEST_NAME or "/" in name or not name.isprintable():
        raise BadInput(
            f"A chart's name has 1 to {LONGEST_NAME} printable characters and no '/', since runs name it as "
            f"entity/name; this one is '{names.shown(name)}'."
        )
    if chart["type"] not in TYPES:
        raise BadInput(f"A chart of the type '{chart['type']}' can't be drawn. The type is 'vega2'.")
    if chart["access"] not in ACCESS:
        raise BadInput(f"A chart's access is 'private' or 'public', not '{chart['access']}'.")
    spec = checked(chart["spec"])
    path = f"{entity['name']}/{name}"
    before = find(db, viewer, path)
    values = {key: chart[key] for key in ("name", "display_name", "access")}
    db.execute(PUT, {**values, "entity": entity["id"], "spec": spec, "user": viewer.user_id})
    activity_log.record(db, viewer, SAVE, entity["name"], name, before["access"] if before else None, chart["access"])
    return path


def find(db: Connection, viewer: Viewer, path: str) -> Row | None:
    """The chart `entity/name`; None if there is none that the viewer may see."""
    entity_name, _, name = path.partition("/")
    chart = db.one(CHART, entity=entity_name, name=name)
    if chart is None or chart["access"] == "PUBLIC":
        return chart
    return chart if access.entity_role(db, viewer, chart["entity_id"]) else None


def of_viewer(db: Connection, viewer: Viewer) -> list[Row]:
    """The charts of the viewer's entities, each with its `path` and `may_delete`."""
    roles = {row["id"]: access.entity_role(db, viewer, row["id"]) for row in db.all("select id from entity")}
    return [
        row | {"path": f"{row['entity_name']}/{row['name']}", "may_delete": roles[row["entity_id"]] >= Role.MEMBER}
        for row in db.all(CHARTS)
        if roles[row["entity_id"]]
    ]


def delete(db: Connection, viewer: Viewer, path: str) -> None:
    """Deletes the chart `entity/name`. Raises NotFound, and Forbidden for who may not write in its entity."""
    chart = find(db, viewer, path)
    if chart is None:
        raise NotFound(f"There is no custom chart '{path}'.")
    access.entity(db, viewer, chart["entity_name"], Role.MEMBER)
    db.execute("delete from custom_chart where id = :id", {"id": chart["id"]})
    activity_log.record(db, viewer, DELETE, chart["entity_name"], chart["name"], chart["access"], None)


def checked(spec: str) -> str:
    """The specification, if it is a JSON object of a size that a page can draw. Raises BadInput."""
    if len(spec.encode()) > LARGEST_SPEC:
        raise BadInput(f"A chart's specification has {LARGEST_SPEC // 2**20} MiB at most.")
    try:
        read = json.loads(spec)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict) or _depth(read) > DEEPEST_SPEC:
        raise BadInput(
            f"A chart's specification is a JSON object of Vega or Vega-Lite, nested {DEEPEST_SPEC} deep at most."
        )
    return spec


def _depth(value: Any) -> int:
    """How deep objects and lists are nested. It goes level by level, so that no depth ends in a RecursionError."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth
