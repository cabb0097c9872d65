"""The file of `serve --openid`: who signs people in, what their groups let them do, whose identity tokens are taken."""

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wandb_registry.errors import BadInput

SECRET_VARIABLE = "REGISTRY_OPENID_SECRET"
ROLES = ("admin", "member", "viewer")  # weaker ones last
EVERYBODY = "*"  # as a group: whomever the provider signs in
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ProviderSettings:
    """Where people sign in."""

    issuer: str
    client_id: str
    name: str = ""  # on the button; without it, the issuer's host
    username: str = "preferred_username"  # the claim that names an account
    groups: str = "groups"  # the claim that lists a person's groups
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    session_hours: int = 12  # after which a browser goes to the provider again
    key_days: int = 30  # after a sign-in, until the account's API keys wait for the next one
    recheck_minutes: int = 15  # after which the provider is asked again, where it gives a refresh token
    prompt: str | None = None  # what its page asks for, such as "consent": without it some give no refresh token
    secret: str | None = field(default=None, repr=False)  # from the environment; None: PKCE alone proves the client

    @property
    def asks_for_offline_access(self) -> bool:
        """Whether a refresh token outlives the session at the provider: OpenID Connect Core 1.0, 11."""
        return "offline_access" in self.scopes

    @property
    def shown_name(self) -> str:
        return self.name or urlsplit(self.issuer).netloc


@dataclass(frozen=True)
class Access:
    """What a group gives: a role in a team, or without one the right to sign in; or the whole registry to an admin."""

    group: str
    team: str | None = None
    role: str = "member"
    admin: bool = False


@dataclass(frozen=True)
class Machine:
    """A service account, and which identity tokens stand for it: by issuer, audience and claims."""

    account: str
    issuer: str
    audience: str
    claims: dict[str, tuple[str, ...]]  # each has to be one of these values
    minutes: int = 60  # that an access token lives


@dataclass(frozen=True)
class Settings:
    provider: ProviderSettings | None
    access: tuple[Access, ...]
    machines: tuple[Machine, ...]

    @property
    def teams(self) -> list[str]:
        """The teams whose members the provider's groups name, in the file's order."""
        return list(dict.fromkeys(rule.team for rule in self.access if rule.team))


def read(path: Path) -> Settings:
    """The settings in a file, with the client's secret from the environment. Raises BadInput, which quotes the file."""
    try:
        text = tomllib.loads(path.read_text())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}.") from None
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}.") from None
    _Table(str(path), text, ("provider", "access", "machines"))
    provider = _provider(path, text["provider"]) if "provider" in text else None
    access = tuple(_access(_Table(f"{path}, access {n}", one)) for n, one in enumerate(_list(path, text, "access"), 1))
    machines = tuple(
        _machine(_Table(f"{path}, machines {n}", one)) for n, one in enumerate(_list(path, text, "machines"), 1)
    )
    if provider is None and not machines:
        raise BadInput(f"{path} names neither a [provider] nor [[machines]]: nobody could sign in by it.")
    if provider and not access:
        raise BadInput(f'{path} has no [[access]]: it says which group may sign in, such as group = "ml".')
    return Settings(provider, access, machines)


def _provider(path: Path, values: Any) -> ProviderSettings:
    table = _Table(f"{path}, provider", values)
    texts, numbers = ("name", "username", "groups", "prompt"), ("session_hours", "key_days", "recheck_minutes")
    table.only(("issuer", "client_id", "scopes", *texts, *numbers))
    given: dict[str, Any] = {name: table.text(name) for name in texts if name in table.values}
    given |= {name: table.number(name, 1, 10_000) for name in numbers if name in table.values}
    if "scopes" in table.values:
        given["scopes"] = tuple(dict.fromkeys(["openid", *table.texts("scopes")]))
    return ProviderSettings(
        table.address("issuer"), table.text("client_id"), secret=os.environ.get(SECRET_VARIABLE) or None, **given
    )


def _access(table: "_Table") -> Access:
    table.only(("group", "team", "role", "admin"))
    team = table.text("team") if "team" in table.values else None
    role = table.text("role") if "role" in table.values else "member"
    admin = table.values.get("admin", False)
    if role not in ROLES:
        raise BadInput(f"{table.place}: '{role}' is not a role. Roles are {', '.join(ROLES)}.")
    if not isinstance(admin, bool):
        raise BadInput(f"{table.place}: admin is true or false; true makes admins of the whole registry.")
    if "role" in table.values and team is None:
        raise BadInput(f"{table.place}: a role is one in a team, and none is named.")
    return Access(table.text("group"), team, role, admin)


def _machine(table: "_Table") -> Machine:
    table.only(("account", "issuer", "audience", "claims", "minutes"))
    claims = _Table(f"{table.place}, claims", table.values.get("claims", {}))
    if not claims.values:
        raise BadInput(
            f"{table.place} has no claims: every token of the issuer would do. "
            'Name what sets yours apart, such as claims = {repository = "acme/pipeline"}.'
        )
    minutes = table.number("minutes", 6, 24 * 60) if "minutes" in table.values else 60
    allowed = {name: claims.texts(name) for name in claims.values}
    return Machine(table.text("account"), table.address("issuer"), table.text("audience"), allowed, minutes)


def _list(path: Path, text: dict[str, Any], name: str) -> list[Any]:
    values = text.get(name, [])
    if not isinstance(values, list):
        raise BadInput(f"{path}: '{name}' is a list, each of it begins with [[{name}]].")
    return values


class _Table:
    """A table of the file, whose values are read by kind. Each refusal names the place."""

    def __init__(self, place: str, values: Any, known: tuple[str, ...] = ()):
        if not isinstance(values, dict):
            raise BadInput(f'{place} is a table, with lines such as name = "value".')
        self.place, self.values = place, values
        if known:
            self.only(known)

    def only(self, known: tuple[str, ...]) -> None:
        unknown = [name for name in self.values if name not in known]
        if "client_secret" in unknown:
            raise BadInput(f"{self.place}: a secret stays out of the file. {SECRET_VARIABLE} has it.")
        if unknown:
            raise BadInput(f"{self.place}: '{unknown[0]}' means nothing here. Known are {', '.join(known)}.")

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str) or not value.strip():
            raise BadInput(f"{self.place}: '{name}' is a text, and is needed.")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """One text, or a list of them."""
        value = self.values[name]
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not values or not all(isinstance(one, str) and one for one in values):
            raise BadInput(f"{self.place}: '{name}' is a text, or a list of texts.")
        return tuple(values)

    def number(self, name: str, least: int, most: int) -> int:
        value = self.values[name]
        if type(value) is not int or not least <= value <= most:
            raise BadInput(f"{self.place}: '{name}' is a whole number from {least} to {most}.")
        return value

    def address(self, name: str) -> str:
        """An issuer. Over plain http it could be anybody, but on this machine."""
        value = self.text(name)
        parts = urlsplit(value)
        if not parts.hostname or parts.query or parts.fragment or parts.scheme not in ("https", "http"):
            raise BadInput(f"{self.place}: '{value}' is not an issuer, which is like https://login.example.com.")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise BadInput(f"{self.place}: '{value}' is not over https, so anybody between could speak for it.")
        return value
