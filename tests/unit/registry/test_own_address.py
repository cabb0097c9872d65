"""Which requests a server takes as its own, by their Host and Origin; which public addresses it can be told."""

from __future__ import annotations

import pytest

from wandb_registry.errors import RegistryError
from wandb_registry.http.own_address import OwnAddress, host_name, public_url

EMBEDDED = OwnAddress(loopback=True)
INTRANET = OwnAddress(loopback=False)
PUBLIC = OwnAddress(loopback=True, public=public_url("https://wandb.example.com/reg"))
OPEN_PUBLIC = OwnAddress(loopback=False, public=public_url("https://wandb.example.com"))


def takes(own: OwnAddress, hosts: list[str], origin: str | None = None) -> bool:
    try:
        own.check(hosts, origin)
        return True
    except RegistryError:
        return False


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1:8090", "127.0.0.1"),
        ("LOCALHOST", "localhost"),
        ("[::1]:8090", "::1"),
        ("my_registry:80", "my_registry"),
        ("wandb.example.com", "wandb.example.com"),
        ("", None),
        ("evil@127.0.0.1", None),
        ("evil@127.0.0.1:8090.evil.example", None),
        ("127.0.0.1:8090.evil.example", None),
        ("127.0.0.1:", None),
        ("127.0.0.1:port", None),
        ("127.0.0.1, evil.example", None),
        ("127.0.0.1/evil.example", None),
        ("127.0.0.1\\@evil.example", None),
        ("127.0.0.1#evil", None),
        ("127.0.0.1?evil", None),
        ("http://127.0.0.1", None),
        ("[::1", None),
        ("[::1].evil.example", None),
        ("[1.2]", None),
        ("local host", None),
        ("127.0.0.1\n", None),
        ("１２７.0.0.1", None),
        ("a" * 300, None),
    ],
)
def test_a_host_is_a_plain_name_and_port(host: str, name: str | None):
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("own", "host", "taken"),
    [
        (EMBEDDED, "127.0.0.1:8090", True),
        (EMBEDDED, "localhost:8090", True),
        (EMBEDDED, "localhost.evil.example", False),
        (EMBEDDED, "10.0.0.7:8090", False),
        (INTRANET, "gpu-7.lab:8090", True),
        (INTRANET, "evil@gpu-7.lab", False),
        (PUBLIC, "wandb.example.com", True),
        (PUBLIC, "WANDB.example.com:443", True),
        (PUBLIC, "127.0.0.1:8090", True),
        (PUBLIC, "evil.example", False),
        (PUBLIC, "wandb.example.com.evil.example", False),
        (PUBLIC, "10.0.0.7:8090", False),
        (OPEN_PUBLIC, "10.0.0.7:8090", True),
        (OPEN_PUBLIC, "evil.example", False),
    ],
)
def test_a_server_answers_to_its_own_names(own: OwnAddress, host: str, taken: bool):
    assert takes(own, [host]) == taken


def test_a_request_names_one_host():
    assert not takes(INTRANET, [])
    assert not takes(INTRANET, ["gpu-7.lab", "gpu-7.lab"])


@pytest.mark.parametrize(
    ("own", "host", "origin", "taken"),
    [
        (EMBEDDED, "127.0.0.1:8090", "http://127.0.0.1:8090", True),
        (EMBEDDED, "127.0.0.1:8090", "http://127.0.0.1:9999", False),
        (EMBEDDED, "127.0.0.1:8090", "null", False),
        (EMBEDDED, "127.0.0.1:8090", "http://[", False),
        (PUBLIC, "127.0.0.1:8090", "https://wandb.example.com", True),
        (PUBLIC, "wandb.example.com", "https://wandb.example.com/reg", True),
        (PUBLIC, "wandb.example.com", "http://wandb.example.com", False),
        (PUBLIC, "wandb.example.com", "https://wandb.example.com:8443", False),
        (PUBLIC, "evil.example", "https://evil.example", False),
    ],
)
def test_pages_of_others_send_nothing(own: OwnAddress, host: str, origin: str, taken: bool):
    assert takes(own, [host], origin) == taken


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://wandb.example.com", "https://wandb.example.com"),
        ("https://Wandb.Example.com:443/", "https://wandb.example.com"),
        ("http://wandb.example.com:8080/a/b/", "http://wandb.example.com:8080/a/b"),
        ("https://[2001:db8::1]/reg", "https://[2001:db8::1]/reg"),
    ],
)
def test_a_public_address_is_kept_as_browsers_write_it(text: str, address: str):
    assert public_url(text).geturl() == address


@pytest.mark.parametrize(
    "text",
    [
        "wandb.example.com",
        "ftp://wandb.example.com",
        "https://",
        "https://user@wandb.example.com",
        "https://wandb.example.com:99999",
        "https://wandb.example.com?x",
        "https://wandb.example.com/a?x=1",
        "https://wandb.example.com/a#b",
        "https://wandb.example.com//a",
        "https://wandb.example.com/../a",
        "https://wandb.example.com/a b",
        "https://wandb.example.com/a%2Fb",
        "https://[::1",
    ],
)
def test_what_is_no_public_address_is_refused(text: str):
    with pytest.raises(RegistryError, match=r"address|path"):
        public_url(text)
