"""The signature that OpenSSF's `model_signing verify key` checks: that these are the files of a model, no more.

Its format is https://model_signing/signature/v1.0: a digest a file, and one over all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from dvc_wandb.provenance.bundle import STATEMENT_TYPE

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
WHOLE = "."  # its name for a model that is one file


def statement(name: str, sha256_of_each: Mapping[str, str]) -> dict[str, Any]:
    """The statement about the model `name`; the sha256 of its files by name, WHOLE for a model that is one file."""
    files = sorted(sha256_of_each.items())
    root = hashlib.sha256(b"".join(bytes.fromhex(sha256) for _, sha256 in files)).hexdigest()
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            "resources": [{"name": name, "algorithm": "sha256", "digest": sha256} for name, sha256 in files],
        },
    }
