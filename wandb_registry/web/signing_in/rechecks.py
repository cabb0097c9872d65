"""Asks the provider, every now and then, whether those who signed in still may: by their refresh tokens.

So somebody who is locked out there is out here minutes later, and roles follow groups, also where the provider sends no
logout. While it is away nothing changes. Of several servers one asks: each takes a person by a note in the records.
"""

import asyncio
import base64
import logging
import time

from cryptography.fernet import Fernet
from starlette.concurrency import run_in_threadpool

from wandb_registry.errors import RegistryError
from wandb_registry.model.accounts import identities, users
from wandb_registry.openid.provider import NoLongerVouched, Provider
from wandb_registry.openid.settings import Settings
from wandb_registry.store import Store

log = logging.getLogger("wandb_registry")
LOOK = 2.0  # seconds between two looks whether somebody is due


class Rechecks:
    """The questions of one server to one provider."""

    def __init__(self, store: Store, settings: Settings):
        assert settings.provider
        self._store, self._settings = store, settings
        self._provider = Provider(settings.provider)
        self._seconds = settings.provider.recheck_minutes * 60
        self._forgets_keys = settings.provider.asks_for_offline_access

    async def run(self) -> None:
        """Asks until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                while await run_in_threadpool(self._ask_next):
                    pass
            except RegistryError as error:
                log.warning("Nobody was asked about at %s: %s", self._provider.issuer.host, error)
            except Exception:
                log.exception("The provider %s wasn't asked", self._provider.issuer.host)

    def _ask_next(self) -> bool:
        """Asks about one who is due. False: nobody is."""
        due = (self._provider.issuer.url, int(time.time()) - self._seconds)
        with self._store.db.read() as db:
            if not identities.is_due(db, *due):
                return False
        with self._store.db.write() as db:
            asked = identities.take_due(db, *due)
        if asked:
            self._ask(asked)
        return asked is not None

    def _ask(self, asked: identities.Row) -> None:
        token = _cipher(self._store).decrypt(asked["refresh_token"].encode()).decode()
        try:
            person, following = self._provider.ask_again(asked["subject"], token)
        except NoLongerVouched as error:
            log.warning("The sessions of %r end: %s", asked["subject"], error)
            with self._store.db.write() as db:
                if identities.keep_token(db, asked, None):
                    identities.suspend(db, asked["user_id"], self._forgets_keys)
            return
        with self._store.db.write() as db:
            if not identities.keep_token(db, asked, sealed(self._store, following)) or person is None:
                return
            if identities.granted(self._settings, person):
                identities.update(db, self._settings, users.by_id(db, asked["user_id"]), person)
            else:
                identities.end(db, person)


def sealed(store: Store, token: str | None) -> str | None:
    """A refresh token as the records keep it: who reads them alone can't use it."""
    return _cipher(store).encrypt(token.encode()).decode() if token else None


def _cipher(store: Store) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(bytes.fromhex(store.signer.mark("REFRESH", ""))))
