"""Versions of artifacts, from announcement to deletion.

A version is PENDING until its files are proved to be here; then it gets its number and its aliases in one step.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Conflict, RegistryError
from wandb_registry.model import access, activity_log, names, projects
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.artifacts import (
    collections,
    content_ownership,
    deduplication,
    lineage,
    manifests,
    memberships,
    references,
    tags,
)

Row = dict[str, Any]
Tell = Callable[[str, RegistryError], None]  # what of a version was refused, an alias or a tag, and why
DESCRIBE = "describe"

# An announcement that is sent again may find that another writer has committed the same content meanwhile.
NAME = """
insert into client_id (id, artifact_id) values (:id, :artifact)
    on conflict (id) do update set artifact_id = excluded.artifact_id
 where exists (select 1
                 from artifact named
                 join artifact twin on twin.collection_id = named.collection_id
                where named.id = client_id.artifact_id and named.state = 'PENDING' and twin.id = excluded.artifact_id)
"""
PENDING_OF_GROUP = """
select * from artifact where collection_id = :collection and distributed_id = :group and state = 'PENDING'
"""


def create(
    db: Connection, viewer: Viewer, given: dict[str, Any], is_undamaged: Callable[[str, int], bool], tell: Tell
) -> Row:
    """Announces a version. The same content again, in the same sequence, is the version that is there.

    Unless some of it is damaged: then the client, which has it, sends it again, and the commit finds that version.
    `is_undamaged(md5, size)` says whether the store has a content as it was; `tell` takes refused aliases and tags.
    """
    if given.get("run_name"):  # a run that goes on after its project was deleted doesn't bring it back
        access.project(db, viewer, given["entity_name"], given["project_name"], Role.MEMBER)
    project = projects.ensure(db, viewer, given["entity_name"], given["project_name"])
    run = access.find_run(db, project, given["run_name"]) if given.get("run_name") else None
    sequence = collections.ensure(
        db, project, _collection_name(given), given["artifact_type_name"], "SEQUENCE", given.get("sequence_client_id")
    )
    if given.get("storage_region") not in (None, "", "default"):
        raise BadInput(f"There is no storage region '{given['storage_region']}': this registry keeps all in its store.")
    aliases = [alias["alias"] for alias in given.get("aliases") or []]
    if run is None:  # nobody could be told of one that is refused once the version is there
        aliases = [names.alias(alias) for alias in aliases]
    existing = _existing(db, sequence, given, is_undamaged)
    if existing and existing["state"] == "PENDING":
        existing = _also_called(db, existing, aliases)
    artifact = existing or _insert(db, viewer, run, sequence, aliases, given)
    if given.get("client_id"):
        db.execute(NAME, {"id": given["client_id"], "artifact": artifact["id"]})
    for tag in given.get("tags") or []:
        _give(tell, "tag", partial(tags.add_to_artifact, db, viewer, artifact, [tag["tag_name"]]))
    if run:
        lineage.make(db, run["id"], artifact["id"])
    if existing and existing["state"] == "COMMITTED":
        _give_aliases(db, viewer, memberships.own(db, existing), aliases, tell)
    return artifact


def _give(tell: Tell, what: str, give: Callable[[], Any]) -> None:
    """Gives a version an alias or a tag. One that is refused would take the whole version along."""
    try:
        give()
    except RegistryError as error:
        tell(what, error)


def _collection_name(given: dict[str, Any]) -> str:
    named = {
        name
        for name in [given.get("artifact_collection_name"), *(given.get("artifact_collection_names") or [])]
        if name
    }
    if len(named) != 1:
        told = f": these are {', '.join(sorted(named))}" if named else ""
        raise BadInput(f"An artifact is logged into one collection{told}.")
    name = named.pop()
    collection, _, version = name.partition(":")
    return collection if memberships.NUMBER.fullmatch(version) else name  # the SDK logs a logged object so again


def _existing(
    db: Connection, sequence: Row, given: dict[str, Any], is_undamaged: Callable[[str, int], bool]
) -> Row | None:
    """The same content, or this very announcement sent again, or what other writers of a group began."""
    twin = None
    if _deduplicates(given):
        twin = deduplication.find(db, sequence["id"], given["digest"])
        if twin and all(is_undamaged(file["md5"], file["size"]) for file in manifests.contents_of(db, twin["id"])):
            return twin
    again = of_client_id(db, given.get("client_id"))
    usable = again and again["state"] != "DELETED" and not (twin and again["id"] == twin["id"])
    if again and usable and again["collection_id"] == sequence["id"]:
        return again
    if given.get("distributed_id"):
        return db.one(PENDING_OF_GROUP, collection=sequence["id"], group=given["distributed_id"])
    return None


def _also_called(db: Connection, pending: Row, aliases: list[str]) -> Row:
    """A version that is announced again before it is committed, with the aliases of both times."""
    return db.row(
        "update artifact set aliases = :aliases where id = :id returning *",
        id=pending["id"],
        aliases=json.dumps(list(dict.fromkeys([*json.loads(pending["aliases"]), *aliases]))),
    )


def _deduplicates(given: dict[str, Any]) -> bool:
    return bool(given.get("enable_digest_deduplication")) and not given.get("distributed_id")


def _insert(
    db: Connection, viewer: Viewer, run: Row | None, sequence: Row, aliases: list[str], given: dict[str, Any]
) -> Row:
    latest = memberships.find(db, sequence["id"], memberships.LATEST)
    return db.row(
        """
        insert into artifact
               (collection_id, digest, description, metadata, ttl, run_id, user_id, history_step,
                distributed_id, deduplicate, aliases, base_id)
        values (:collection, :digest, :description, :metadata, :ttl, :run, :user, :history_step,
                :distributed_id, :deduplicate, :aliases, :base)
        returning *
        """,
        collection=sequence["id"],
        digest=given["digest"],
        description=given.get("description"),
        metadata=_json_object(given.get("metadata")),
        ttl=given.get("ttl_duration_seconds") or -1,
        run=run["id"] if run else None,
        user=viewer.user_id,
        history_step=given.get("history_step"),
        distributed_id=given.get("distributed_id"),
        deduplicate=_deduplicates(given),
        aliases=json.dumps(aliases),
        base=latest["artifact_id"] if latest else None,
    )


def set_base(db: Connection, artifact: Row, base: Row) -> None:
    """Names the version that an incremental one adds to. Raises BadInput for one of another collection."""
    if base["collection_id"] != artifact["collection_id"]:
        raise BadInput("A version can only add to another one of its own collection.")
    db.execute("update artifact set base_id = :base where id = :id", {"base": base["id"], "id": artifact["id"]})


def commit(db: Connection, viewer: Viewer, artifact: Row, is_there: Callable[[str, int], bool], tell: Tell) -> Row:
    """Publishes a version: entries, number, aliases, at once. A committed one stays as it is.

    `is_there(md5, size)` says whether the store has a content at full length; `tell` takes refused aliases.
    """
    if artifact["state"] == "COMMITTED":
        return artifact
    if artifact["state"] == "DELETED":
        raise Conflict("The artifact was deleted before it was committed. Log it again.")
    settled = manifests.settle(db, artifact, content_ownership.checker(db, viewer, artifact["id"], is_there))
    twin = deduplication.find(db, artifact["collection_id"], settled["digest"]) if artifact["deduplicate"] else None
    if twin:
        deduplication.fold(db, artifact, twin)
        _give_aliases(db, viewer, memberships.own(db, twin), json.loads(artifact["aliases"]), tell)
        return twin
    membership = memberships.add(db, viewer, artifact["collection_id"], artifact["id"], "log")
    committed = db.row(
        """
        update artifact
           set state = 'COMMITTED', digest = :digest, size = :size, file_count = :file_count, version_index = :number
         where id = :id
        returning *
        """,
        id=artifact["id"],
        number=membership["version_index"],
        **settled,
    )
    memberships.record(db, viewer, "log", membership)
    _give_aliases(db, viewer, membership, json.loads(artifact["aliases"]), tell)
    return committed


def _give_aliases(db: Connection, viewer: Viewer, membership: Row, aliases: list[str], tell: Tell) -> None:
    for alias in aliases:
        _give(tell, "alias", partial(memberships.move_alias, db, viewer, membership, alias))


def update(db: Connection, viewer: Viewer, artifact: Row, given: dict[str, Any]) -> Row:
    """Changes description, metadata, time to live and tags of a version. What isn't given stays."""
    tags.add_to_artifact(db, viewer, artifact, [tag["tag_name"] for tag in given.get("tags_to_add") or []])
    tags.take_from_artifact(db, viewer, artifact, [tag["tag_name"] for tag in given.get("tags_to_delete") or []])
    changed = db.row(
        """
        update artifact
           set description = coalesce(:description, description),
               metadata = coalesce(:metadata, metadata),
               ttl = coalesce(:ttl, ttl),
               updated_at = strftime('%Y-%m-%dT%H:%M:%SZ')
         where id = :id
        returning *
        """,
        id=artifact["id"],
        description=given.get("description"),
        metadata=_json_object(given.get("metadata")),
        ttl=given.get("ttl_duration_seconds"),
    )
    described = (changed["description"] or None) != (artifact["description"] or None)
    if described and artifact["state"] == "COMMITTED":
        texts = artifact["description"] or None, changed["description"] or None
        name = f"v{artifact['version_index']}"
        activity_log.record_in_collection(db, viewer, DESCRIBE, artifact["collection_id"], name, *texts, artifact["id"])
    return changed


def set_aliases(db: Connection, viewer: Viewer, artifact: Row, given: list[Row]) -> None:
    """Gives a version these aliases in its own collection, and takes all others there from it.

    Raises BadInput for one of another collection, and for a version that isn't committed.
    """
    collection = collections.by_id(db, artifact["collection_id"])
    if other := next((one for one in given if one["artifact_collection_name"] != collection["name"]), None):
        raise BadInput(
            f"The alias '{other['alias']}' belongs to '{other['artifact_collection_name']}': here are set those of "
            f"'{collection['name']}', the version's own collection."
        )
    if artifact["state"] != "COMMITTED":
        raise BadInput("A version gets other aliases once it is committed.")
    membership = memberships.own(db, artifact)
    held, wanted = [row["name"] for row in memberships.aliases(db, membership["id"])], [one["alias"] for one in given]
    for name in held:
        if name not in wanted:
            memberships.drop_alias(db, viewer, membership, name)
    for name in wanted:
        memberships.move_alias(db, viewer, membership, name)


def delete(db: Connection, viewer: Viewer, artifact: Row, with_aliases: bool) -> Row:
    """Takes a version out of every collection. Its row stays, so that its id and number are never given again."""
    rows = memberships.of_artifact(db, artifact["id"])
    aliases = sorted({alias["name"] for membership in rows for alias in memberships.aliases(db, membership["id"])})
    if aliases and not with_aliases:
        raise Conflict(
            f"The artifact has aliases ({', '.join(aliases)}); pass delete_aliases=True to delete it all the same."
        )
    for membership in rows:
        memberships.remove(db, viewer, membership, "unlink" if membership["kind"] == "PORTFOLIO" else "delete")
    references.release(db, artifact["id"])
    return db.row("update artifact set state = 'DELETED' where id = :id returning *", id=artifact["id"])


# ---- reading ----


def by_id(db: Connection, number: int) -> Row:
    """A version that is reached from a row the account may see."""
    return db.row(access.ARTIFACT, id=number)


def by_ids(db: Connection, numbers: list[int]) -> dict[int, Row]:
    """Versions that are reached from rows the account may see."""
    return {row["id"]: row for row in db.all(access.ARTIFACTS, ids=json.dumps(numbers))}


def of_client_id(db: Connection, client_id: str | None) -> Row | None:
    """The version that the SDK called so before it was logged; `SEQUENCE:latest` means a sequence's newest."""
    if not client_id:
        return None
    number = db.value("select artifact_id from client_id where id = :id", id=client_id)
    return by_id(db, number) if number else None


def named(db: Connection, project: Row, name: str) -> tuple[Row, Row] | None:
    """The collection and membership that 'COLLECTION:ALIAS' means in a project."""
    collection_name, _, alias = name.partition(":")
    collection = collections.find(db, project["id"], collection_name)
    if collection is None:
        return None
    membership = memberships.find(db, collection["id"], alias or memberships.LATEST)
    return (collection, membership) if membership else None


def newest_of_any_state(db: Connection, collection_id: int) -> Row | None:
    """The newest version, deleted or not: it tells the type of a collection that has no `latest` any more."""
    return db.one("select * from artifact where collection_id = :id order by id desc limit 1", id=collection_id)


def used_by_run(db: Connection, viewer: Viewer, given: dict[str, Any], number: int) -> Row:
    """Records that a run uses a version."""
    run = access.run(db, viewer, given["entity_name"], given["project_name"], given["run_name"], Role.MEMBER)
    artifact = access.artifact(db, viewer, number, Role.VIEWER)
    lineage.use(db, run["id"], artifact["id"], given.get("used_as"))
    return artifact


def _json_object(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        usable = isinstance(json.loads(text), dict)
    except ValueError:
        usable = False
    if not usable:
        raise BadInput("An artifact's metadata is a JSON object.")
    return text
