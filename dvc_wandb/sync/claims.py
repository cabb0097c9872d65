"""What `dvc push` has brought to the registry's bucket isn't sent there again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from dvc_wandb.client.bucket_claims import MOST, BucketClaims
from dvc_wandb.errors import RegistryUnavailableError
from dvc_wandb.project import cache
from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline


def claim(url: str, pipeline: Pipeline, contents: Iterable[Content]) -> None:
    """Claim the files of `contents` from the bucket of the registry at `url`, if a DVC remote of the project is there.

    What can't be claimed is sent, so nothing depends on this.
    """
    if not cache.has_remote_in_bucket(pipeline):
        return
    listings = (pipeline.listing(content) or {} for content in contents if content.kind != "reference")
    md5s = sorted({md5 for listing in listings for md5 in listing.values()})
    claims = BucketClaims(url)
    for start in range(0, len(md5s), MOST):
        challenge = claims.challenge()
        secret = cache.read_from_bucket(pipeline, challenge.address, challenge.md5) if challenge else None
        if challenge is None or secret is None:
            return
        with contextlib.suppress(RegistryUnavailableError):
            claims.claim(challenge, secret.decode(), md5s[start : start + MOST])
