"""What makes a signed statement worth nothing: each cause has a class and a sentence of its own."""

from __future__ import annotations

from dvc_wandb.errors import DvcWandbError


class KeyFileError(DvcWandbError):
    """A file is not the key or the certificates that it should be."""


class NotABundleError(DvcWandbError):
    """A file is not a Sigstore bundle with one signed in-toto statement."""


class OtherKeyError(DvcWandbError):
    """The statement was signed by another key than the one that is trusted."""


class CertificateError(DvcWandbError):
    """The signer's certificate is not, or no longer, one that the trusted roots vouch for."""


class KeylessError(DvcWandbError):
    """Sigstore can't sign or verify without a key: no network, nobody signed in, another identity."""


class AlteredStatementError(DvcWandbError):
    """The statement or its signature was changed after it was signed."""


class OtherFormError(DvcWandbError):
    """The statement is about something else than a DVC output, or a field of it is wrong."""


class OtherRunError(DvcWandbError):
    """The result of running a commit again is of another commit, lock or model than the statement."""


class OtherModelError(DvcWandbError):
    """The statement is about another model."""
