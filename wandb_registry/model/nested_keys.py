"""Nested values under dotted names, as W&B names metrics, parameters and metadata: train.epochs."""

from collections.abc import Iterator
from typing import Any

DEEPEST = 20  # what lies deeper stays one value


def leaves(values: dict[str, Any], prefix: str = "", deepest: int = DEEPEST) -> Iterator[tuple[str, Any]]:
    """('train.epochs', 5), … of {'train': {'epochs': 5}}; media and empty objects are values too."""
    for key, value in values.items():
        if isinstance(value, dict) and value and "_type" not in value and deepest:
            yield from leaves(value, f"{prefix}{key}.", deepest - 1)
        else:
            yield f"{prefix}{key}", value


def within(value: Any, path: str) -> Any:
    """The value at a dotted path; keys may hold dots themselves."""
    while path:
        if not isinstance(value, dict):
            return None
        if path in value:
            return value[path]
        key, _, path = path.partition(".")
        value = value.get(key)
    return value
