"""What a client or a person may be told: one sentence each, with the HTTP status that carries it.

No refusal has a status that the SDK retries: one repeated for minutes looks like a hang.
"""

import errno
import sqlite3


class RegistryError(Exception):
    """The root of all errors that are meant to be read."""

    status = 400
    code = "BAD_INPUT"


class BadInput(RegistryError):
    """The request asks for something that can't be."""


class NotSupported(RegistryError):
    """A part of W&B that this registry leaves out."""

    code = "NOT_SUPPORTED"

    def __init__(self, what: str):
        super().__init__(f"{what} is not supported by this registry.")


class NotSignedIn(RegistryError):
    """No key, or one that no account has."""

    status = 401
    code = "NOT_SIGNED_IN"


class KeyEnded(NotSignedIn):
    """The key of an account, which worked until a day that is over."""


class Forbidden(RegistryError):
    """The account may see the thing but not do this to it."""

    status = 403
    code = "FORBIDDEN"


class IdentityRefused(RegistryError):
    """A provider of identities, or a token of one, doesn't prove who somebody is."""

    status = 403
    code = "IDENTITY_REFUSED"


class NotFound(RegistryError):
    """It isn't there, or the account may not know that it is: the sentence is the same for both."""

    status = 404
    code = "NOT_FOUND"


class Conflict(RegistryError):
    """What is there already stands against it."""

    status = 409
    code = "CONFLICT"


class DamagedContent(RegistryError):
    """The disk gave back other bytes than it was given."""

    status = 410
    code = "DAMAGED"

    def __init__(self, name: str, md5: str):
        super().__init__(
            f"{name}: its content in the store is damaged, its md5 is not {md5} any more. It was not served; "
            "log it again where its bytes still are, or restore it from a backup. "
            "'wandb-registry check' names all that is damaged."
        )


class TooLarge(RegistryError):
    """The request has more bytes than this endpoint takes."""

    status = 413
    code = "TOO_LARGE"


class StoreFull(RegistryError):
    """The disk has no room; what was acknowledged before is safe."""

    status = 413
    code = "STORE_FULL"

    def __init__(self):
        super().__init__(
            "The registry's disk is full: nothing of this request was stored. Free some space and repeat it."
        )


class DatabaseAway(RegistryError):
    """The database of a team's registry can't be reached. 503 because the SDK should repeat it: a restart is short."""

    status = 503
    code = "DATABASE_AWAY"

    def __init__(self, address: str, reason: str):
        super().__init__(f"The registry's database {address} can't be used: {reason}.")


class ProviderAway(RegistryError):
    """A provider of identities can't be asked. 503 because it may answer a moment later."""

    status = 503
    code = "PROVIDER_AWAY"

    def __init__(self, host: str, reason: str):
        super().__init__(f"{host} can't be asked who signs in: {reason}.")


class BucketAway(RegistryError):
    """The bucket of a team's registry can't be reached. 503 because the SDK should repeat it, as with the database."""

    status = 503
    code = "BUCKET_AWAY"

    def __init__(self, name: str, reason: str):
        super().__init__(f"The registry's bucket {name} can't be used: {reason}.")


class BucketRefuses(RegistryError):
    """The bucket, its keys or their rights are not as they must be: a person has to see to it. 501 as for faults."""

    status = 501
    code = "BUCKET_REFUSES"

    def __init__(self, name: str, reason: str):
        super().__init__(f"The registry's bucket {name} refuses the registry: {reason}.")


class BucketFull(StoreFull):
    """The bucket takes no more; what was acknowledged before is safe."""

    def __init__(self, name: str):
        RegistryError.__init__(
            self,
            f"The registry's bucket {name} is full: nothing of this request was stored. Free some space and repeat it.",
        )


class InternalError(RegistryError):
    """A mistake of ours. 501 because the SDK repeats every other 5xx for minutes."""

    status = 501
    code = "FAULT"

    def __init__(self):
        super().__init__("The registry made a mistake in answering this; its log says which.")


def from_system(error: Exception) -> RegistryError | None:
    """The readable form of what the disk or the database say no to, if it has one."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull()
    if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
        return StoreFull()
    if isinstance(error, UnicodeEncodeError):
        return BadInput("A text of this request holds half a character (a lone surrogate), which can't be kept.")
    if isinstance(error, OverflowError):
        return BadInput("A number of this request is larger than the database can hold.")
    return None
