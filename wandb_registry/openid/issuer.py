"""What an issuer publishes: the addresses of its endpoints, and the keys that it signs with."""

import threading
import time
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from wandb_registry.errors import ProviderAway

FRESH_SECONDS = 3600
UNKNOWN_KEY_SECONDS = 2  # the least time between two questions for a key that the last answer lacked
AWAY_SECONDS = 2  # in which an issuer that didn't answer isn't asked again: each question may wait for TIMEOUT
TIMEOUT = 5.0
PUBLIC = ("RSA", "EC", "OKP")  # kinds of keys: a secret that an issuer publishes is none


class Issuer:
    """One issuer, by its address. It may be asked from several threads."""

    def __init__(self, url: str):
        self.url = url
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys = KeySet([])
        self._kids: set[str | None] = set()
        self._asked = self._failed = float("-inf")

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def endpoint(self, name: str) -> str | None:
        """An endpoint's address, by its name in OpenID Connect Discovery 1.0. Raises ProviderAway."""
        with self._lock:
            self._refresh(time.monotonic() - self._asked > FRESH_SECONDS)
            return self._metadata.get(name)

    def keys(self, kid: str | None) -> KeySet:
        """The issuer's keys, asked for anew if none of them has this id. Raises ProviderAway."""
        with self._lock:
            age = time.monotonic() - self._asked
            unknown = kid is not None and kid not in self._kids
            self._refresh(age > FRESH_SECONDS or (unknown and age > UNKNOWN_KEY_SECONDS))
            return self._keys

    def _refresh(self, wanted: bool) -> None:
        if not wanted:
            return
        now = time.monotonic()
        if now - self._failed < AWAY_SECONDS:
            raise ProviderAway(self.host, "it didn't answer a moment ago")
        try:
            metadata = self._ask(self.url.rstrip("/") + "/.well-known/openid-configuration")
            if metadata.get("issuer") != self.url:
                raise ProviderAway(self.host, f"it calls itself '{metadata.get('issuer')}', not '{self.url}'")
            listed = self._ask(str(metadata.get("jwks_uri"))).get("keys", [])
            self._keys = self._usable(listed)
        except ProviderAway:
            self._failed = now
            raise
        self._metadata, self._kids, self._asked = metadata, {key.kid for key in self._keys.keys}, now

    def _usable(self, listed: Any) -> KeySet:
        try:
            signing = [key for key in listed if key.get("kty") in PUBLIC and key.get("use", "sig") == "sig"]
            return KeySet.import_key_set({"keys": signing})
        except (JoseError, ValueError, TypeError, AttributeError) as error:
            raise ProviderAway(self.host, f"its keys can't be read: {error}") from None

    def _ask(self, address: str) -> dict[str, Any]:
        with asking(self.host):
            answer = requests.get(address, timeout=TIMEOUT, allow_redirects=False)
            if answer.status_code != 200:
                raise ProviderAway(self.host, f"{address} answers {answer.status_code}")
            found = answer.json()
        if not isinstance(found, dict):
            raise ProviderAway(self.host, f"{address} answers with no JSON object")
        return found


@contextmanager
def asking(host: str):
    """Turns what can go wrong on the way to an issuer into ProviderAway."""
    try:
        yield
    except requests.Timeout:
        raise ProviderAway(host, f"it doesn't answer within {TIMEOUT:.0f} seconds") from None
    except requests.exceptions.SSLError:
        raise ProviderAway(host, "its certificate isn't one that this machine trusts") from None
    except requests.ConnectionError:
        raise ProviderAway(host, "it can't be reached") from None
    except (requests.RequestException, ValueError) as error:
        raise ProviderAway(host, f"its answer can't be read ({error.__class__.__name__})") from None
