"""Finds the service account of an identity token: what a CI job has of its own issuer instead of a stored secret."""

from typing import Any

from wandb_registry.errors import IdentityRefused
from wandb_registry.openid import tokens
from wandb_registry.openid.issuer import Issuer
from wandb_registry.openid.settings import Machine

LONGEST_LIFE = 24 * 3600  # seconds; one that lives longer is as good as a stored secret


class Machines:
    def __init__(self, machines: tuple[Machine, ...]):
        self.machines = machines
        self.issuers = {machine.issuer: Issuer(machine.issuer) for machine in machines}

    def of_token(self, token: str) -> tuple[Machine, str]:
        """The first machine that the token stands for, and who it is at its issuer: its subject.

        Raises IdentityRefused, which says why, and ProviderAway.
        """
        named = tokens.unverified_issuer(token)
        if named not in self.issuers:
            raise IdentityRefused(
                f"The token is of the issuer '{tokens.shown(named)}', whose tokens aren't taken here."
            )
        claims = tokens.read(token, self.issuers[named]).claims
        if claims["exp"] - claims["iat"] > LONGEST_LIFE:
            raise IdentityRefused("The token lives for more than a day, as a stored secret would.")
        candidates = [machine for machine in self.machines if machine.issuer == named]
        addressed = [machine for machine in candidates if machine.audience in tokens.audiences(claims)]
        if not addressed:
            wanted = " or ".join(sorted({f"'{machine.audience}'" for machine in candidates}))
            raise IdentityRefused(f"The token is for {tokens.shown(claims.get('aud'))!r}, not for {wanted}.")
        for machine in addressed:
            if all(_is_one_of(claims.get(name), values) for name, values in machine.claims.items()):
                return machine, claims["sub"]
        raise IdentityRefused(f"No service account is for the token of '{tokens.shown(claims['sub'])}' at {named}.")


def _is_one_of(value: Any, values: tuple[str, ...]) -> bool:
    """Whether a claim is one of the values that the operator named, as a text; `true` is the text 'true'."""
    return (str(value).lower() if isinstance(value, bool) else value) in values
