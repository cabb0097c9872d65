"""Contents that are there before their version is announced, claimed by who has them: fields of our own.

DVC put them into the registry's bucket, or a client sends many small ones in one request. Their version takes them up.
"""

import base64
import binascii
import hashlib

from wandb_registry.errors import BadInput
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model import access
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import content_ownership
from wandb_registry.storage.blobs import MD5, Blobs

query, mutation = Fields("Query"), Fields("Mutation")
FIELDS = (query, mutation)
MOST = 10_000  # contents of one claim
MOST_SENT = 1_000  # contents of one request


@mutation.field("challengeBucket")
def challenge(_, info):
    """Puts a secret into the bucket, to be read there. Without a bucket there is no challenge."""
    store = info.context.store
    bucket = store.bucket
    if bucket is None:
        return None
    secret, md5, token = content_ownership.challenge(store.signer, info.context.viewer)
    info.context.contents.afterwards(lambda: bucket.put_all({md5: secret}))
    return {"address": f"{bucket.objects.bucket}/{bucket.objects.prefix}", "md5": md5, "token": token}


@mutation.field("claimContents")
def claim(_, info, input):
    context = info.context
    bucket, md5s = context.store.bucket, list(dict.fromkeys(input["md5s"]))
    if bucket is None:
        raise BadInput("This registry has its contents in a folder: they are sent to it.")
    _check(md5s)
    secret = content_ownership.check_secret(context.store.signer, context.viewer, input["token"], input["secret"])
    there = context.contents.outside(("there", input["token"]), lambda: bucket.proved(md5s))
    content_ownership.claim(context.db, context.viewer, there)
    context.contents.afterwards(lambda: bucket.withdraw(secret))
    return {"md5s": list(there)}


@query.field("contentsToSend")
def to_send(_, info, entity_name, md5s):
    """Which of these contents the entity lacks. None with a bucket: clients send them into it, past the server."""
    _check(md5s)
    if info.context.store.bucket:
        return None
    db, viewer = info.context.db, info.context.viewer
    entity = access.find_entity(db, viewer, entity_name)
    held = content_ownership.find(db, viewer, entity["id"], md5s) if entity else {}
    return [md5 for md5 in md5s if md5 not in held]


@mutation.field("sendContents")
def send(_, info, input):
    """Stores contents, which are base64, under their md5s."""
    context = info.context
    access.entity(context.db, context.viewer, input["entity_name"], Role.MEMBER)
    if context.store.bucket:
        raise BadInput("This registry has its contents in a bucket: they are sent to it.")
    if len(input["contents"]) > MOST_SENT:
        raise BadInput(f"Up to {MOST_SENT} contents are sent at once.")
    sizes = context.contents.outside("sent", lambda: _stored(context.store.blobs, input["contents"]))
    content_ownership.claim(context.db, context.viewer, sizes)
    return {"success": True}


def _stored(blobs: Blobs, contents: list[str]) -> dict[str, int]:
    """Stores the contents; their sizes by md5."""
    try:
        decoded = [base64.b64decode(content, validate=True) for content in contents]
    except binascii.Error:
        raise BadInput("A content is not base64. Nothing was stored.") from None
    by_md5 = {hashlib.md5(content, usedforsecurity=False).hexdigest(): content for content in decoded}
    blobs.put_all(by_md5)
    return {md5: len(content) for md5, content in by_md5.items()}


def _check(md5s: list[str]) -> None:
    if len(md5s) > MOST or not all(MD5.fullmatch(md5) for md5 in md5s):
        raise BadInput(f"Up to {MOST} md5s are named at once.")
