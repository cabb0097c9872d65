"""HTTP requests to a registry: authentication, timeouts, and one sentence for each kind of failure."""

from __future__ import annotations

import base64
import contextlib
import netrc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dvc_wandb.client import identity_token
from dvc_wandb.errors import RegistryHTTPError, RegistryUnavailableError, one_line

if TYPE_CHECKING:
    import requests

READ_TIMEOUT = 60.0  # seconds, for each piece of a response
MAX_CONNECTIONS = 8  # of all threads together


class RegistryClient:
    """An HTTP session with the registry at `url`. Threads may share it.

    Its methods raise RegistryUnavailableError without a response, RegistryHTTPError for an error status.
    """

    def __init__(self, url: str) -> None:
        import requests  # takes a third of a second, so only commands that need it
        from requests.adapters import HTTPAdapter

        self.url = url
        self._identity = identity_token.of_environment(url)
        self._authorization = {} if self._identity else authorization_header(url)
        self._session = requests.Session()
        self._session.auth = lambda request: request  # else requests replaces our header by one from ~/.netrc
        self._session.mount("http", HTTPAdapter(pool_maxsize=MAX_CONNECTIONS))

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data of a GraphQL response. Raises RegistryUnavailableError with the message of a GraphQL error."""
        body = {"query": query, "variables": variables or {}}
        with self._translate_errors(READ_TIMEOUT):
            response = self._request("POST", f"{self.url}/graphql", READ_TIMEOUT, json=body)
        payload = _json(response)
        if not isinstance(payload, dict) or not (payload.get("errors") or payload.get("data")):
            raise self._not_a_server()
        if payload.get("errors"):
            raise RegistryUnavailableError(f"the registry at {self.url} answers: {payload['errors'][0].get('message')}")
        return payload["data"]

    def get(self, path: str, timeout: float) -> Any:
        """The JSON at `path` of the registry; None if the response is no JSON."""
        with self._translate_errors(timeout):
            response = self._request("GET", f"{self.url}{path}", timeout)
        return _json(response)

    def download(self, url: str) -> Iterator[bytes]:
        """The content at `url`, a signed URL, in chunks."""
        with self._translate_errors(READ_TIMEOUT):
            response = self._session.get(url, stream=True, timeout=READ_TIMEOUT)
            self._check_status(response)
            yield from response.iter_content(2**20)

    def _request(self, method: str, url: str, timeout: float, **arguments: Any) -> requests.Response:
        headers = self._identity.header(self._session) if self._identity else self._authorization
        response = self._session.request(method, url, headers=headers, timeout=timeout, **arguments)
        self._check_status(response)
        return response

    def _check_status(self, response: requests.Response) -> None:
        if not response.ok:
            raise RegistryHTTPError(self.url, response.status_code, _error_message(response))

    @contextlib.contextmanager
    def _translate_errors(self, timeout: float) -> Iterator[None]:
        """Turn the exceptions of requests into sentences about this registry."""
        from requests import RequestException, Timeout

        try:
            yield
        except Timeout:
            raise RegistryUnavailableError(
                f"the registry at {self.url} doesn't answer within {timeout:g} seconds"
            ) from None
        except ValueError:  # an invalid URL
            raise self._not_a_server() from None
        except RequestException as error:
            raise RegistryUnavailableError(
                f"the registry at {self.url} doesn't answer ({one_line(root_cause(error))})"
            ) from None

    def _not_a_server(self) -> RegistryUnavailableError:
        return RegistryUnavailableError(f"what answers at {self.url} is not a W&B server; check WANDB_BASE_URL")


def _error_message(response: requests.Response) -> str:
    """The message in the body of an error response; "" if it has none."""
    payload = _json(response)
    if not isinstance(payload, dict):
        return ""
    errors = payload.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return str(payload.get("error") or (first.get("message") if isinstance(first, dict) else "") or "")


def _json(response: requests.Response) -> Any:
    """The JSON body of a response; None if it is no JSON."""
    try:
        return response.json()
    except ValueError:
        return None


def authorization_header(url: str) -> dict[str, str]:
    """The Authorization header for `url`. Raises RegistryUnavailableError if there is no API key."""
    key = os.environ.get("WANDB_API_KEY") or _netrc_key(url)
    if not key:
        raise RegistryUnavailableError(
            f"there is no API key for {url}; set WANDB_API_KEY, or run `wandb login --host {url}`"
        )
    return {"Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode()}


def _netrc_key(url: str) -> str | None:
    """The API key that `wandb login` saved for this host."""
    host = urlsplit(url).netloc
    for file in filter(None, (os.environ.get("NETRC"), "~/.netrc", "~/_netrc")):
        try:
            credentials = netrc.netrc(Path(file).expanduser()).authenticators(host)
        except (OSError, netrc.NetrcParseError):
            continue
        if credentials:
            return credentials[2]
    return None


def root_cause(error: BaseException) -> BaseException:
    """The operating system's error inside those of requests and urllib3, such as [Errno 111] Connection refused."""
    wrapped = (error.__cause__, getattr(error, "reason", None), *error.args)
    inner = next((one for one in wrapped if isinstance(one, BaseException)), None)
    return root_cause(inner) if inner else error
