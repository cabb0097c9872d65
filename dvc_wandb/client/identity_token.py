"""Signs in by the file of WANDB_IDENTITY_TOKEN_FILE, as the SDK does: exchanged for an access token (RFC 7523)."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dvc_wandb.errors import RegistryUnavailableError

if TYPE_CHECKING:
    import requests

VARIABLE = "WANDB_IDENTITY_TOKEN_FILE"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
MARGIN = 60  # seconds before its end, from which an access token isn't used any more
TIMEOUT = 30.0


class IdentityToken:
    """The access token of a job at the registry at `url`, exchanged anew before it ends. Threads may share it."""

    def __init__(self, url: str, file: str) -> None:
        self.url, self.file = url, Path(file)
        self._lock = threading.Lock()
        self._header: dict[str, str] = {}
        self._ends = 0.0

    def header(self, session: requests.Session) -> dict[str, str]:
        """The Authorization header. Raises RegistryUnavailableError, and what `requests` does."""
        with self._lock:
            if time.monotonic() > self._ends - MARGIN:
                self._exchange(session)
            return self._header

    def _exchange(self, session: requests.Session) -> None:
        try:
            token = self.file.read_text().strip()
        except OSError as error:
            raise RegistryUnavailableError(
                f"{VARIABLE} is {self.file}, which can't be read: {error.strerror}"
            ) from None
        form = {"grant_type": GRANT, "assertion": token}
        answer = session.post(f"{self.url}/oidc/token", form, timeout=TIMEOUT)
        try:
            given = answer.json()
        except ValueError:
            given = {}
        if not isinstance(given, dict):  # whatever answers there, it is no registry
            given = {}
        if not answer.ok or "access_token" not in given:
            reason = given.get("error_description") or given.get("error") or f"HTTP {answer.status_code}"
            raise RegistryUnavailableError(f"the registry at {self.url} refuses the token in {self.file}: {reason}")
        self._header = {"Authorization": f"Bearer {given['access_token']}"}
        self._ends = time.monotonic() + float(given.get("expires_in", 0))


def of_environment(url: str) -> IdentityToken | None:
    """The identity token that the environment names, if it does."""
    file = os.environ.get(VARIABLE)
    return IdentityToken(url, file) if file else None
