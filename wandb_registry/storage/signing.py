"""Signs addresses and cookies, so that they carry their own permission.

The SDK uploads and downloads files without sending its key, so the address itself says what is allowed, and until when.
Nobody can make or change one without the store's secret.
"""

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Signer:
    """Signs (verb, path) pairs: an HTTP method and an address, or 'SESSION' and a user."""

    secret: bytes

    def address(self, verb: str, path: str, seconds: int) -> str:
        """The path with an expiry and a signature, valid for this verb alone and for so many seconds."""
        expires = int(time.time()) + seconds
        return f"{quote(path)}?expires={expires}&signature={self._signature(verb, path, expires)}"

    def allows(self, verb: str, path: str, expires: str, signature: str) -> bool:
        """Whether this store signed exactly this, and it hasn't expired."""
        if not re.fullmatch(r"[0-9]{1,12}", expires) or int(expires) < time.time():
            return False
        expected = self._signature(verb, path, int(expires))
        return hmac.compare_digest(expected.encode(), signature.encode())

    def seal(self, verb: str, subject: str, seconds: int) -> str:
        """The subject as a signed cookie value, valid for so many seconds. `open` returns the subject."""
        expires = int(time.time()) + seconds
        return f"{subject}.{expires}.{self._signature(verb, subject, expires)}"

    def open(self, verb: str, sealed: str) -> str | None:
        """The subject that `seal` was given; None if this store didn't seal it, or it has expired."""
        subject, _, rest = sealed.partition(".")
        expires, _, signature = rest.partition(".")
        return subject if self.allows(verb, subject, expires, signature) else None

    def mark(self, verb: str, text: str) -> str:
        """The store's signature of a text. It is always the same, and never expires."""
        return self._signature(verb, text, 0)

    def _signature(self, verb: str, path: str, expires: int) -> str:
        message = f"{verb}\n{path}\n{expires}".encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()
