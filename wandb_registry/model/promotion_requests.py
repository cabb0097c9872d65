"""Requests to put an alias on a version, and the yes or no of a second person.

An alias has at most one open request. Another candidate, other numbers or another version in its place make a new one,
which replaces it. A yes moves the alias in the same transaction, so a server that dies has done both or neither. Each
step is an event of the log; a request that is closed is never opened again.
"""

import json
from typing import Any

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Conflict, Forbidden, NotFound
from wandb_registry.model import access, activity_log, names, projects
from wandb_registry.model.access import Role, Viewer
from wandb_registry.model.accounts import members, users
from wandb_registry.model.artifacts import memberships, protected_aliases

Row = dict[str, Any]
OPEN, APPROVED, REJECTED, WITHDRAWN, REPLACED = "OPEN", "APPROVED", "REJECTED", "WITHDRAWN", "REPLACED"
ACTIONS = {APPROVED: "approve", REJECTED: "reject", WITHDRAWN: "withdraw", REPLACED: "replace"}  # of the log
ASK = "ask"
CLOSED = {APPROVED: "was approved", REJECTED: "was rejected", WITHDRAWN: "was taken back", REPLACED: "was replaced"}
LARGEST_FACTS, LONGEST_REASON = 2**16, 4000  # characters

REQUESTS = """
select promotion_request.*, promotion_request.id as number, collection.project_id, membership.artifact_id,
       'v' || membership.version_index as version, 'v' || held.version_index as holder,
       asker.username as asker, decider.username as decider
  from promotion_request
  join collection on collection.id = promotion_request.collection_id
  join membership on membership.id = promotion_request.membership_id
  join account asker on asker.id = promotion_request.asked_by
  left join membership held on held.id = promotion_request.holder_id
  left join account decider on decider.id = promotion_request.decided_by
"""
BY_ID = REQUESTS + " where promotion_request.id = :id"
OF_COLLECTION = (
    REQUESTS
    + """
 where promotion_request.collection_id = :collection
 order by promotion_request.id desc
 limit :limit
"""
)
OPEN_ONES = (
    REQUESTS
    + """
 where promotion_request.collection_id = :collection and promotion_request.state = 'OPEN'
 order by promotion_request.alias
"""
)
LAST = (
    REQUESTS
    + """
 where promotion_request.collection_id = :collection
   and promotion_request.alias = :alias
   and promotion_request.membership_id = :membership
 order by promotion_request.id desc
 limit 1
"""
)
INSERT = """
insert into promotion_request (collection_id, membership_id, holder_id, alias, reason, facts, asked_by)
values (:collection, :membership, :holder, :alias, :reason, :facts, :viewer)
returning id
"""
CLOSE = """
update promotion_request
   set state = :state, decided_by = :viewer, decided_at = strftime('%Y-%m-%dT%H:%M:%SZ'), decision = :reason
 where id = :id and state = 'OPEN'
returning id
"""


# ---- reading ----


def of_collection(db: Connection, collection_id: int, limit: int) -> list[Row]:
    """The newest requests of a collection, the newest first; all of them for a limit of -1."""
    return db.all(OF_COLLECTION, collection=collection_id, limit=limit)


def count(db: Connection, collection_id: int) -> int:
    return db.value(
        "select count(*) from promotion_request where collection_id = :collection", collection=collection_id
    )


def open_ones(db: Connection, collection_id: int) -> list[Row]:
    return db.all(OPEN_ONES, collection=collection_id)


def open_one(db: Connection, collection_id: int, alias: str) -> Row | None:
    return next((row for row in open_ones(db, collection_id) if row["alias"] == alias), None)


def find(db: Connection, viewer: Viewer, number: int) -> Row:
    """A request in a collection that the viewer may read. Raises NotFound."""
    found = db.one(BY_ID, id=number)
    if found is None or not access.readable(db, viewer, found["project_id"]):
        raise NotFound(f"The request was not found, or '{viewer.username}' may not see it.")
    return found


def find_in(db: Connection, collection_id: int, number: int) -> Row | None:
    """A request of this collection, which the viewer may read; None if it has none of this number."""
    found = db.one(BY_ID, id=number)
    return found if found and found["collection_id"] == collection_id else None


# ---- asking ----


def ask(db: Connection, viewer: Viewer, membership: Row, alias: str, reason: str, facts: str = "{}") -> Row:
    """The open request to put `alias` on a version: a new one, or the one that asks for just this already.

    The caller has checked that the viewer may change the collection. Raises Conflict where it has the alias already,
    or where just this was rejected.
    """
    _check(names.alias(alias), reason, facts)
    collection, holder = membership["collection_id"], memberships.find(db, membership["collection_id"], alias)
    version, held = memberships.version(membership), holder["id"] if holder else None
    if held == membership["id"]:
        raise Conflict(f"{version} is {alias} already.")
    last = db.one(LAST, collection=collection, alias=alias, membership=membership["id"])
    same = last and (last["holder_id"], last["facts"], last["reason"]) == (held, facts, reason)
    if last and same and last["state"] == OPEN:
        return last
    if last and same and last["state"] == REJECTED:
        raise Conflict(
            f"{last['decider']} rejected just that: {last['decision']}. Another candidate, other numbers or another "
            "reason make a new request."
        )
    before = open_one(db, collection, alias)
    if before:
        _close(db, viewer, before, REPLACED, f"by a request for {version}")
    row = {"collection": collection, "membership": membership["id"], "holder": held, "viewer": viewer.user_id}
    number = db.value(INSERT, **row, alias=alias, reason=reason, facts=facts)
    _record(db, viewer, ASK, db.row(BY_ID, id=number), reason)
    return db.row(BY_ID, id=number)


def _check(alias: str, reason: str, facts: str) -> None:
    """Refuses an alias that nobody decides on, and texts that are too long or no JSON."""
    if alias == memberships.LATEST:
        raise BadInput("Alias 'latest' moves with every version: nobody can be asked for it.")
    _check_reason(reason)
    try:
        is_object = len(facts) <= LARGEST_FACTS and isinstance(json.loads(facts), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise BadInput(f"The facts of a request are a JSON object of at most {LARGEST_FACTS:,} characters.")


def _check_reason(reason: str) -> None:
    if len(reason) > LONGEST_REASON:
        raise BadInput(f"A reason has at most {LONGEST_REASON:,} characters.")


# ---- deciding ----


def approve(db: Connection, viewer: Viewer, number: int, reason: str) -> Row:
    """Says yes to a request, and so moves the alias. Raises Forbidden, or Conflict if it is not open any more."""
    request = _to_decide(db, viewer, number, reason, "approved")
    holder = memberships.find(db, request["collection_id"], request["alias"])
    if (holder["id"] if holder else None) != request["holder_id"]:
        raise Conflict(
            f"{request['alias']} is on {memberships.version(holder) if holder else 'nothing'} by now, and this request "
            f"was made while it was on {request['holder'] or 'nothing'}. It takes a new request."
        )
    _close(db, viewer, request, APPROVED, reason)
    membership = db.row("select * from membership where id = :id", id=request["membership_id"])
    memberships.move_alias(db, viewer, membership, request["alias"], approved=True)
    return db.row(BY_ID, id=number)


def reject(db: Connection, viewer: Viewer, number: int, reason: str) -> Row:
    """Says no to a request. Raises as `approve`."""
    request = _to_decide(db, viewer, number, reason, "rejected")
    _close(db, viewer, request, REJECTED, reason)
    return db.row(BY_ID, id=number)


def withdraw(db: Connection, viewer: Viewer, number: int, reason: str) -> Row:
    """Takes a request back, which only the asker does. Raises as `approve`."""
    request = find(db, viewer, number)
    access.collection_by_id(db, viewer, request["collection_id"], Role.MEMBER)
    _check_reason(reason)
    if request["asked_by"] != viewer.user_id:
        raise Forbidden(f"Only {request['asker']}, who asked, takes this back. Others approve or reject it.")
    _close(db, viewer, request, WITHDRAWN, reason)
    return db.row(BY_ID, id=number)


def why_not(db: Connection, viewer: Viewer, request: Row) -> str | None:
    """Why this account is no second person for the request; None if it is one."""
    return _why_not_this_person(db, viewer, request) or _why_no_right(db, viewer, request)


def deciders(db: Connection, request: Row) -> tuple[list[str], list[str]]:
    """Who may decide on a request, by name; and why not, a sentence each, of those who have the right otherwise."""
    able, barred = [], []
    for account in members.people(db, projects.by_id(db, request["project_id"])):
        viewer = users.as_viewer(account)
        if _why_no_right(db, viewer, request):
            continue
        if refusal := _why_not_this_person(db, viewer, request):
            barred.append(refusal)
        else:
            able.append(viewer.username)
    return able, barred


def _why_not_this_person(db: Connection, viewer: Viewer, request: Row) -> str | None:
    if request["asked_by"] == viewer.user_id:
        return f"'{viewer.username}' asked for this, so somebody else has to decide."
    account = db.row("select service, email from user where id = :id", id=viewer.user_id)
    rule = protected_aliases.rule(db, request["collection_id"], request["alias"])
    if account["service"] and not (rule and rule["services"]):
        return f"'{viewer.username}' is a service account. An admin may let those approve '{request['alias']}'."
    committer = json.loads(request["facts"]).get("email")
    if account["email"] and isinstance(committer, str) and account["email"].lower() == committer.lower():
        return f"'{viewer.username}' committed this decision, by its e-mail, so somebody else has to decide."
    return None


def _why_no_right(db: Connection, viewer: Viewer, request: Row) -> str | None:
    try:
        access.collection_by_id(db, viewer, request["collection_id"], Role.MEMBER)
        protected_aliases.check_right(db, viewer, request["collection_id"], request["alias"])
    except (Forbidden, NotFound) as error:
        return str(error)
    return None


def _to_decide(db: Connection, viewer: Viewer, number: int, reason: str, done: str) -> Row:
    """The request, which the viewer may decide on. Raises Conflict first: what is closed concerns nobody any more."""
    request = find(db, viewer, number)
    _refuse_if_closed(request)
    if refusal := why_not(db, viewer, request):
        raise Forbidden(refusal)
    _check_reason(reason)
    if not reason.strip():
        raise BadInput(f"Say why it is {done}: the reason is kept with the decision.")
    return request


def _refuse_if_closed(request: Row) -> None:
    if request["state"] != OPEN:
        raise Conflict(
            f"The request for {request['alias']} on {request['version']} {CLOSED[request['state']]} by "
            f"{request['decider']}: {request['decision'] or 'no reason given'}."
        )


def _close(db: Connection, viewer: Viewer, request: Row, state: str, reason: str) -> None:
    """Closes an open request. Raises Conflict if somebody did so before."""
    if db.one(CLOSE, id=request["id"], state=state, viewer=viewer.user_id, reason=reason) is None:
        _refuse_if_closed(db.row(BY_ID, id=request["id"]))
    _record(db, viewer, ACTIONS[state], request, f"asked by {request['asker']}{f': {reason}' if reason else ''}")


def _record(db: Connection, viewer: Viewer, action: str, request: Row, words: str) -> None:
    """Logs a step: the alias, the version that it is about, and who asked or why."""
    collection, artifact = request["collection_id"], request["artifact_id"]
    version, alias = request["version"], request["alias"]
    activity_log.record_in_collection(db, viewer, action, collection, alias, version, words or None, artifact)
