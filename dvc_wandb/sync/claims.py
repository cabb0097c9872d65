"""What the SDK needn't send file by file: what `dvc push` brought to the registry's bucket, and many small files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dvc_wandb.client import small_contents
from dvc_wandb.client.bucket_claims import MOST, BucketClaims
from dvc_wandb.client.versions import ManifestEntry
from dvc_wandb.errors import RegistryUnavailableError
from dvc_wandb.project import cache
from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline

if TYPE_CHECKING:
    import wandb


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


def send_small(run: wandb.Run, artifacts: Iterable[wandb.Artifact]) -> None:
    """Send the small files of `artifacts` to the registry, if they are many, before it hears of these versions."""
    small = {
        ManifestEntry(str(entry.digest)).md5: Path(entry.local_path)
        for artifact in artifacts
        for entry in artifact.manifest.entries.values()
        if entry.local_path and (entry.size or 0) <= small_contents.LARGEST
    }
    if len(small) >= small_contents.WORTHWHILE:
        small_contents.send(str(run.settings.base_url), run.entity, small)
