"""DVC's reasons for an error, whole and on one line: it prints some over many, with the place in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

NOISE = re.compile(r'"<(unicode|byte) string>", |\n *\^( \(line: \d+\))?')  # of the parser of YAML


def reason(error: BaseException) -> str:
    """What is wrong and where, without a full stop: the error and all that caused it."""
    from dvc.utils.strictyaml import YAMLValidationError

    first, *causes = [on_one_line(str(one)) for one in _causes(error)]
    if isinstance(error, YAMLValidationError):
        causes = [*_places(error)]
    hint = getattr(error, "hint", "")  # possible merge conflicts
    return ": ".join(filter(None, dict.fromkeys([f"{first}{hint}", *causes]))).rstrip(".")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def on_one_line(text: str) -> str:
    """What a parser of YAML says, with its places."""
    lines = re.split(r"\n(?=\S)", NOISE.sub("", text.strip()))
    return "; ".join(" ".join(line.split()).rstrip(":") for line in lines)


def _places(error: Any) -> Iterator[str]:
    """What a schema doesn't allow, and where that stands."""
    from dvc.utils.strictyaml import determine_linecol, parse_yaml_for_update

    data = parse_yaml_for_update(error.text, error.path)
    for one in error.exc.errors:
        path = [str(part) for part in one.path]
        line = determine_linecol(data, one.path)[0] if path else None
        place = f" in {' -> '.join(path)}" * bool(path) + f", line {line}" * bool(line)
        yield f"{one.error_message}{place}"
