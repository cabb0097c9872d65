"""Contents that lie in the registry's bucket already, since it is a DVC remote too: they needn't be sent.

Only the embedded registry's kind of server has a bucket of its own. It hands out a content that it wasn't sent only to
who can read there: a secret that it put into the bucket proves that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dvc_wandb.client.http_client import RegistryClient
from dvc_wandb.errors import RegistryUnavailableError

MOST = 10_000  # contents of one claim

CHALLENGE = "mutation Challenge { challengeBucket { address md5 token } }"
CLAIM = "mutation Claim($input: ClaimContentsInput!) { claimContents(input: $input) { md5s } }"


@dataclass(frozen=True)
class Challenge:
    """A secret to be read in the registry's bucket: the address `BUCKET/PREFIX`, the secret's md5, and whose it is."""

    address: str
    md5: str
    token: str


class BucketClaims:
    """Claims of contents in the bucket of the registry at `url`."""

    def __init__(self, url: str) -> None:
        self._client = RegistryClient(url)

    def challenge(self) -> Challenge | None:
        """A new challenge; None from a registry without a bucket of its own, such as W&B's."""
        try:
            given = self._client.graphql(CHALLENGE)["challengeBucket"]
        except RegistryUnavailableError:  # it doesn't know the question; if it is away, the SDK will say so
            return None
        return Challenge(**given) if given else None

    def claim(self, challenge: Challenge, secret: str, md5s: Sequence[str]) -> set[str]:
        """Those of the contents, up to MOST, that the registry has found in its bucket, each with the bytes of its md5.

        Raises RegistryUnavailableError.
        """
        given = {"token": challenge.token, "secret": secret, "md5s": list(md5s)}
        return set(self._client.graphql(CLAIM, {"input": given})["claimContents"]["md5s"])
