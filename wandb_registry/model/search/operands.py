"""Checks the operands of a filter's operators by MongoDB's rules. All functions raise BadInput for a wrong one."""

import json
from collections.abc import Mapping
from typing import Any

from wandb_registry.errors import BadInput
from wandb_registry.model.search import patterns

TYPES: dict[Any, str] = {
    1: "double",
    2: "string",
    3: "object",
    4: "array",
    8: "bool",
    10: "null",
    16: "int",
    18: "long",
}
NUMBERS = ("int", "long", "double")
LARGEST_LONG = 2**63 - 1


def with_options(condition: Mapping[str, Any]) -> dict[str, Any]:
    """The operators of a condition; the `$options` of a `$regex` become a part of its pattern."""
    options, pattern = condition.get("$options"), condition.get("$regex")
    if options is None:
        return dict(condition)
    if not isinstance(options, str) or not isinstance(pattern, str) or not set(options) <= set("imsx"):
        raise BadInput("$options stands beside a $regex, with any of the letters 'imsx'.")
    flagged = {**condition, "$regex": patterns.with_options(pattern, options)}
    del flagged["$options"]
    return flagged


def list_of(name: str, operand: Any) -> list[Any]:
    if not isinstance(operand, list):
        raise BadInput(f"{name} takes a list.")
    return operand


def text(name: str, operand: Any) -> str:
    if not isinstance(operand, str):
        raise BadInput(f"{name} takes a text.")
    return operand


def pattern(operand: Any) -> str:
    patterns.compiled(text("$regex", operand))  # so that a bad pattern is refused even if no row is tested
    return operand


def orderable(operand: Any) -> bool | int | float | str:
    """An operand of `$lt` and the like: a number, a text or a truth value. Each kind is ordered among its own."""
    if not isinstance(operand, (bool, int, float, str)):
        raise BadInput(f"A field can't be compared with {json.dumps(operand)[:80]}.")
    return operand


def size(operand: Any) -> int:
    if isinstance(operand, bool) or not isinstance(operand, (int, float)) or operand < 0 or operand != _whole(operand):
        raise BadInput("$size takes a whole number, 0 or more.")
    return int(operand)


def modulus(operand: Any) -> tuple[int, int]:
    """The divisor and the rest that `$mod` asks for."""
    match [_whole(number) for number in operand] if isinstance(operand, list) else []:
        case [int(divisor), int(rest)] if divisor:
            return divisor, rest
    raise BadInput("$mod takes a list of two numbers, the divisor (not 0) and the rest.")


def types(operand: Any) -> tuple[str, ...]:
    """The types that `$type` names, by name or by number, one or a list."""
    named = operand if isinstance(operand, list) else [operand]
    names: list[Any] = [TYPES.get(kind, kind) if isinstance(kind, int) else kind for kind in named]
    strange = [kind for kind in names if kind not in (*TYPES.values(), "number")]
    if strange or not names:
        known = ", ".join((*TYPES.values(), "number"))
        raise BadInput(f"$type takes types that JSON has: {known}. '{strange[0] if strange else operand}' is none.")
    return (*names, *(NUMBERS if "number" in names else ()))


def _whole(number: Any) -> int | None:
    """A number without its fraction; None for anything that is no number, or one beyond 64 bits."""
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) <= LARGEST_LONG:
        return None
    return int(number)
