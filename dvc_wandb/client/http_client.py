"""Asks a registry over HTTP: who asks, for how long, and one sentence for each way in which no answer comes."""

from __future__ import annotations

import base64
import contextlib
import netrc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dvc_wandb.errors import RegistryAway, RegistryRefuses, first_line

if TYPE_CHECKING:
    import requests

WITHIN = 60.0  # seconds that a registry has for each piece of an answer
AT_ONCE = 8  # requests of several threads at the same time


class RegistryClient:
    """A session with the registry at `url`, whose connections stay open. Threads may share it.

    Its methods raise RegistryAway where no answer comes, RegistryRefuses where HTTP's status is no success.
    """

    def __init__(self, url: str) -> None:
        import requests  # takes a third of a second: for commands that ask a registry only
        from requests.adapters import HTTPAdapter

        self.url = url
        self._authorization = authorization(url)
        self._session = requests.Session()
        self._session.auth = lambda request: request  # ~/.netrc would take the header's place
        self._session.mount("http", HTTPAdapter(pool_maxsize=AT_ONCE))

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data that W&B's GraphQL answers; raises RegistryAway with its own words where it answers an error."""
        body = {"query": query, "variables": variables or {}}
        with self._errors(WITHIN):
            answer = self._request("POST", f"{self.url}/graphql", WITHIN, json=body)
        found = _json(answer)
        if not isinstance(found, dict) or not (found.get("errors") or found.get("data")):
            raise self._is_another()
        if found.get("errors"):
            raise RegistryAway(f"the registry at {self.url} answers: {found['errors'][0].get('message')}")
        return found["data"]

    def get(self, path: str, within: float) -> Any:
        """The JSON at `path` of the registry; None where it has something else there."""
        with self._errors(within):
            answer = self._request("GET", f"{self.url}{path}", within)
        return _json(answer)

    def download(self, address: str) -> Iterator[bytes]:
        """The pieces of the file at `address`, which carries its own permission."""
        with self._errors(WITHIN):
            answer = self._session.get(address, stream=True, timeout=WITHIN)
            self._check(answer)
            yield from answer.iter_content(2**20)

    def _request(self, method: str, address: str, within: float, **arguments: Any) -> requests.Response:
        answer = self._session.request(method, address, headers=self._authorization, timeout=within, **arguments)
        self._check(answer)
        return answer

    def _check(self, answer: requests.Response) -> None:
        if not answer.ok:
            raise RegistryRefuses(self.url, answer.status_code, _reason(answer))

    @contextlib.contextmanager
    def _errors(self, within: float) -> Iterator[None]:
        """What requests raises in the block, as a sentence about this registry."""
        from requests import RequestException, Timeout

        try:
            yield
        except Timeout:
            raise RegistryAway(f"the registry at {self.url} doesn't answer within {within:g} seconds") from None
        except ValueError:  # of an address that is none
            raise self._is_another() from None
        except RequestException as error:
            raise RegistryAway(f"the registry at {self.url} doesn't answer ({first_line(_origin(error))})") from None

    def _is_another(self) -> RegistryAway:
        return RegistryAway(f"what answers at {self.url} is not a W&B server; check WANDB_BASE_URL")


def _reason(answer: requests.Response) -> str:
    """What the registry itself says of a request that it refuses; "" where that is no sentence."""
    found = _json(answer)
    return str(found.get("error") or "") if isinstance(found, dict) else ""


def _json(answer: requests.Response) -> Any:
    """What an answer holds; None where that is no JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def authorization(url: str) -> dict[str, str]:
    """The header that says who asks; raises RegistryAway where no key is to be had."""
    if os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        raise RegistryAway("WANDB_IDENTITY_TOKEN_FILE is not supported here; set WANDB_API_KEY")
    key = os.environ.get("WANDB_API_KEY") or _netrc_key(url)
    if not key:
        raise RegistryAway(f"there is no API key for {url}; set WANDB_API_KEY, or run `wandb login --host {url}`")
    return {"Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode()}


def _netrc_key(url: str) -> str | None:
    """The key that `wandb login` keeps for this host."""
    host = urlsplit(url).netloc
    for file in filter(None, (os.environ.get("NETRC"), "~/.netrc", "~/_netrc")):
        try:
            found = netrc.netrc(Path(file).expanduser()).authenticators(host)
        except (OSError, netrc.NetrcParseError):
            continue
        if found:
            return found[2]
    return None


def _origin(error: BaseException) -> BaseException:
    """What the operating system said, which requests and urllib3 wrap: [Errno 111] Connection refused."""
    wrapped = (error.__cause__, getattr(error, "reason", None), *error.args)
    inner = next((one for one in wrapped if isinstance(one, BaseException)), None)
    return _origin(inner) if inner else error
