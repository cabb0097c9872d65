"""Lines of YAML that can be pasted into a dvc.yaml."""

from __future__ import annotations

import json
import re

PLAIN = re.compile(r"[A-Za-z_./][\w./-]*")  # needs no quotation marks
OTHER_VALUES = re.compile(r"true|false|yes|no|on|off|y|n|null|\.nan|\.inf", re.IGNORECASE)  # of YAML


def yaml_keeps(text: str) -> bool:
    """Whether YAML takes `text` for itself, without quotation marks."""
    return bool(PLAIN.fullmatch(text)) and not OTHER_VALUES.fullmatch(text)


def as_yaml(text: str) -> str:
    return text if yaml_keeps(text) else json.dumps(text, ensure_ascii=False)


def stage_lines(name: str, entries: list[str], in_do: bool) -> list[str]:
    """What a stage needs, beneath `stages:`; a `foreach` has it in its `do`."""
    indent = "      " if in_do else "    "
    return [f"  {as_yaml(name)}:", *(["    do:"] if in_do else []), *(f"{indent}{entry}" for entry in entries)]
