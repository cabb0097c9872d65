"""Who signs in, as a provider says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """Issuer and subject say who it is, for good. What else is told may be another thing at the next sign-in."""

    issuer: str
    subject: str
    username: str
    email: str | None
    groups: frozenset[str]
