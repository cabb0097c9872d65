"""Fields of JSON that somebody else wrote, each asked for with the kind of value that it has to be."""

from __future__ import annotations

from typing import Any

KINDS = {dict: "object", list: "list", str: "text"}


def field(of: Any, name: str, kind: type, default: Any = None) -> Any:
    """The field `name`, or the `default` where it is missing. Raises ValueError where it is missing or of another kind.

    `name` may be a path, such as dsseEnvelope.payload.
    """
    *above, last = name.split(".")
    for step in above:
        of = field(of, step, dict)
    if not isinstance(of, dict):
        raise ValueError("it is no object")
    if last not in of and default is not None:
        return default
    if last not in of:
        raise ValueError(f"it lacks {name}")
    if not isinstance(of[last], kind):
        raise ValueError(f"its {name} is no {KINDS[kind]}")
    return of[last]
