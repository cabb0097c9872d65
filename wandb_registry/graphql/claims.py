"""Contents that DVC put into the registry's bucket, claimed by who can read them there: fields of our own."""

from wandb_registry.errors import BadInput
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.model.artifacts import content_ownership
from wandb_registry.storage.blobs import MD5

mutation = Fields("Mutation")
FIELDS = (mutation,)
MOST = 10_000  # contents of one claim


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
    if len(md5s) > MOST or not all(MD5.fullmatch(md5) for md5 in md5s):
        raise BadInput(f"A claim names up to {MOST} md5s.")
    secret = content_ownership.check_secret(context.store.signer, context.viewer, input["token"], input["secret"])
    there = context.contents.outside(("there", input["token"]), lambda: bucket.proved(md5s))
    content_ownership.claim(context.db, context.viewer, there)
    context.contents.afterwards(lambda: bucket.withdraw(secret))
    return {"md5s": list(there)}
