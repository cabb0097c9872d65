"""Capabilities: addresses and cookies that carry their own permission.

The SDK moves files without sending its key, so the address itself must say who may do what, and until when.
Nobody can make or change one without the store's secret.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Signer:
    """Signs (verb, path) pairs: an HTTP method and an address, or 'SESSION' and a user."""

    secret: bytes

    def address(self, verb: str, path: str, seconds: int) -> str:
        """The path with an expiry and a signature; valid for this verb alone."""
        expires = int(time.time()) + seconds
        return f"{quote(path)}?expires={expires}&signature={self._signature(verb, path, expires)}"

    def allows(self, verb: str, path: str, expires: str, signature: str) -> bool:
        """Whether this store signed exactly this, and the time isn't over."""
        if not expires.isascii() or not expires.isdigit() or int(expires) < time.time():
            return False
        expected = self._signature(verb, path, int(expires))
        return hmac.compare_digest(expected.encode(), signature.encode())

    def seal(self, verb: str, subject: str, seconds: int) -> str:
        """The subject as a cookie value that `open` gives back."""
        expires = int(time.time()) + seconds
        return f"{subject}.{expires}.{self._signature(verb, subject, expires)}"

    def open(self, verb: str, sealed: str) -> str | None:
        """What was sealed, or None if this store didn't seal it or the time is over."""
        subject, _, rest = sealed.partition(".")
        expires, _, signature = rest.partition(".")
        return subject if self.allows(verb, subject, expires, signature) else None

    def mark(self, verb: str, text: str) -> str:
        """What only this store can say of a text, and always says the same."""
        return self._signature(verb, text, 0)

    def _signature(self, verb: str, path: str, expires: int) -> str:
        message = f"{verb}\n{path}\n{expires}".encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()
