"""Who may move an alias such as `production`: only admins, where it is protected; two people, where it has a rule.

Protection holds for a project, and an admin sets it. A rule of approval holds for one collection. Whoever may change
the collection may make one, since it only takes rights away; only an admin of the project removes it.
"""

from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Forbidden
from wandb_registry.model import access, activity_log, names
from wandb_registry.model.access import Role, Viewer

Row = dict[str, Any]
APPROVALS = "approvals"  # the action of a rule in the log
PROTECTS = """
select project.*, entity.name as entity_name
  from collection
  join project on project.id = collection.project_id
  join entity on entity.id = project.entity_id
  join protected_alias on protected_alias.project_id = project.id and protected_alias.name = :alias
 where collection.id = :collection
"""


def check(db: Connection, viewer: Viewer, collection_id: int, alias: str) -> None:
    """Refuses to move an alias that is protected, unless an admin does it, and one that takes a second person's yes."""
    check_right(db, viewer, collection_id, alias)
    if rule(db, collection_id, alias):
        name = db.value("select name from collection where id = :id", id=collection_id)
        raise Forbidden(
            f"Alias '{alias}' of '{name}' takes a second person's yes: ask on the page of the version that is to have "
            "it, or let `dvc-wandb promote` ask (promote.approvals: 1 in params.yaml); somebody else approves."
        )


def check_right(db: Connection, viewer: Viewer, collection_id: int, alias: str) -> None:
    """Refuses whoever has no right to decide on an alias that is protected."""
    project = db.one(PROTECTS, collection=collection_id, alias=alias)
    if project and access.project_role(db, viewer, project) < Role.ADMIN:
        raise Forbidden(
            f"Alias '{alias}' is protected in '{project['entity_name']}/{project['name']}': only its admins move it."
        )


def of_project(db: Connection, project_id: int) -> list[str]:
    rows = db.all("select name from protected_alias where project_id = :project order by name", project=project_id)
    return [row["name"] for row in rows]


def replace(db: Connection, viewer: Viewer, project: Row, aliases: list[str]) -> None:
    """Protects these aliases of a project or registry, and no others."""
    wanted, before = sorted({names.alias(alias) for alias in aliases}), of_project(db, project["id"])
    if "latest" in wanted:
        raise BadInput("Alias 'latest' moves with every version: it can't be protected.")
    db.execute("delete from protected_alias where project_id = :project", {"project": project["id"]})
    db.executemany(
        "insert into protected_alias (project_id, name) values (:project, :name)",
        [{"project": project["id"], "name": name} for name in wanted],
    )
    subject = f"{project['entity_name']}/{project['name']}"
    activity_log.record(db, viewer, "protect", subject, None, ", ".join(before) or None, ", ".join(wanted) or None)


# ---- a second person's yes ----

RULE = "select * from approval_rule where collection_id = :collection and alias = :alias"


def rule(db: Connection, collection_id: int, alias: str) -> Row | None:
    """The rule that an alias of a collection takes a second person's yes; None: whoever has the right moves it."""
    return db.one(RULE, collection=collection_id, alias=alias)


def rules_of(db: Connection, collection_id: int) -> list[Row]:
    return db.all(
        "select * from approval_rule where collection_id = :collection order by alias", collection=collection_id
    )


def check_keeps_rules(db: Connection, viewer: Viewer, collection: Row) -> None:
    """Refuses to rename or delete a collection with a rule, unless an admin of the project does it.

    Its name would be free for another collection, which has no rule.
    """
    rules = rules_of(db, collection["id"])
    project = db.row(access.PROJECT, id=collection["project_id"])
    if rules and access.project_role(db, viewer, project) < Role.ADMIN:
        raise Forbidden(
            f"Alias '{rules[0]['alias']}' of '{collection['name']}' takes a second person's yes, so only an admin of "
            f"'{project['entity_name']}/{project['name']}' renames or deletes it."
        )


def require_approval(db: Connection, viewer: Viewer, collection_id: int, alias: str) -> None:
    """Makes the rule, if there is none yet. The caller has checked that the viewer may change the collection."""
    if rule(db, collection_id, alias) is None:
        set_approvals(db, viewer, collection_id, alias, services=False)


def set_approvals(db: Connection, viewer: Viewer, collection_id: int, alias: str, services: bool | None) -> None:
    """Makes the rule, says whether service accounts may approve, or takes it away: None.

    The caller has checked the viewer's role.
    """
    if names.alias(alias) == "latest":
        raise BadInput("Alias 'latest' moves with every version: nobody can be asked for it.")
    before = _told(rule(db, collection_id, alias))
    if services is None:
        sql = "delete from approval_rule where collection_id = :collection and alias = :alias"
        db.execute(sql, {"collection": collection_id, "alias": alias})
    else:
        db.execute(
            """
            insert into approval_rule (collection_id, alias, services) values (:collection, :alias, :services)
                on conflict (collection_id, alias) do update set services = excluded.services
            """,
            {"collection": collection_id, "alias": alias, "services": int(services)},
        )
    after = _told(rule(db, collection_id, alias))
    if before != after:
        activity_log.record_in_collection(db, viewer, APPROVALS, collection_id, alias, before, after)


def _told(found: Row | None) -> str | None:
    """A rule in the words of the log."""
    if found is None:
        return None
    return "by a second person or a service account" if found["services"] else "by a second person"
