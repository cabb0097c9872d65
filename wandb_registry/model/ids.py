"""Ids as the SDK wants them: base64 of `Kind:number`. It decodes artifact ids, so nothing else will do."""

import base64

from wandb_registry.errors import BadInput


def encode(kind: str, number: int) -> str:
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


def to_hex(kind: str, number: int) -> str:
    """The id as the SDK writes it into references: the hexadecimal digits of its characters."""
    return f"{kind}:{number}".encode().hex()


def from_hex(text: str, kind: str) -> int:
    """The number in an id that stands in a reference."""
    return decode(base64.b64encode(bytes.fromhex(text)).decode(), kind)


def decode(text: str, *kinds: str) -> int:
    """The number inside an id of one of these kinds."""
    try:
        kind, _, number = base64.b64decode(text, validate=True).decode("ascii").partition(":")
    except ValueError:
        kind, number = "", ""
    if kind not in kinds or not number.isdigit() or len(number) > 18:
        raise BadInput(f"'{text}' is not an id of kind {' or '.join(kinds)}.")
    return int(number)
