"""The address by which clients reach the server: a public one that it was told, or whatever a request calls it.

Behind a proxy with a public address (`serve --public-url`), all requests are taken as sent to that address, below its
path too. The proxy passes the path on as it is.
"""

import ipaddress
import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from wandb_registry.errors import BadInput, Forbidden

LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}
HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})))(?::\d{1,5})?")
PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")

base_path: ContextVar[str] = ContextVar("base_path", default="")
"""The path of the public address that the current request was sent to, such as /wandb; '' for none."""


@dataclass(frozen=True)
class OwnAddress:
    """What a server takes for its own address. Bound to loopback, it answers to no foreign name but its public one."""

    loopback: bool
    public: SplitResult | None = None

    def check(self, hosts: list[str], origin: str | None) -> None:
        """Raises BadInput and Forbidden for a request to another host, or one that a foreign page had sent."""
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            raise BadInput("A request names one host, such as 127.0.0.1:8090: a plain name and a port.")
        if not self._is_own(name):
            if self.public:
                raise Forbidden(f"This registry answers at {self.public.geturl()} only, not as '{hosts[0]}'.")
            raise Forbidden(
                f"This registry answers at 127.0.0.1 and localhost only, not as '{hosts[0]}'. "
                "To be reached by a name, it is served with --public-url."
            )
        if origin and not self._is_own_page(origin, hosts[0]):
            raise Forbidden(f"Requests from pages of '{origin}' are refused.")

    def _is_own(self, name: str) -> bool:
        if name in LOOPBACK_NAMES or (self.public and name == self.public.hostname):
            return True
        if self.loopback:
            return False
        return self.public is None or _is_ip(name)  # no foreign page can turn an IP address into another

    def _is_own_page(self, origin: str, host: str) -> bool:
        if self.public:
            return origin in (f"{self.public.scheme}://{self.public.netloc}", self.public.geturl())  # `wandb verify`
        return origin in (f"http://{host}", f"https://{host}")

    def apply(self, scope: Any) -> None:
        """Changes the scope of a request as if it had been sent to the public address."""
        if self.public is None:
            return
        path = self.public.path
        headers = [pair for pair in scope["headers"] if pair[0] != b"host"]
        scope["headers"] = [(b"host", self.public.netloc.encode()), *headers]
        scope["scheme"], scope["root_path"] = self.public.scheme, path
        if scope["path"] != path and not scope["path"].startswith(f"{path}/"):
            scope["path"] = path + scope["path"]
        base_path.set(path)


def public_url(text: str) -> SplitResult:
    """The parts of a public address. Raises BadInput for anything but a scheme, a host, a port and a plain path."""
    try:
        parts = urlsplit(text.rstrip("/"))
        host, port = host_name(parts.netloc), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or host is None or "?" in text or "#" in text:
        raise BadInput(f"'{text}' is not a public address. It is like https://wandb.example.com or …/wandb below it.")
    if not PATH.fullmatch(parts.path):
        raise BadInput(f"'{text}': a path has letters, digits and - . _ ~ alone, such as /wandb.")
    default = port == {"http": 80, "https": 443}[parts.scheme]
    netloc = parts.netloc.lower().removesuffix(f":{port}" if default else "")  # as browsers write it
    return SplitResult(parts.scheme, netloc, parts.path, "", "")


def host_name(host: str) -> str | None:
    """The name in a Host header, in lower case and without its port; None unless it is a plain name or an address."""
    found = HOST.fullmatch(host)
    if not found or (found["v6"] and not _is_ip(found["v6"])):
        return None
    return (found["v6"] or found["name"]).lower()


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        return False
