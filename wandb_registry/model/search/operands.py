"""What stands behind the operators of a Mongo-style filter, read and checked, as MongoDB understands it."""

from collections.abc import Mapping
from typing import Any

from wandb_registry.errors import BadInput

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
NAMES: dict[type, str] = {bool: "bool", float: "double", str: "string", list: "array", type(None): "null"}
NUMBERS = ["int", "long", "double"]
INT = range(-(2**31), 2**31)  # larger ones are long
LARGEST_LONG = 2**63 - 1


def operators(condition: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The operators of a condition; the options of a pattern become a part of it."""
    options, pattern = condition.get("$options"), condition.get("$regex")
    if options is None:
        return list(condition.items())
    if not isinstance(options, str) or not isinstance(pattern, str) or not set(options) <= set("imsx"):
        raise BadInput("$options stands beside a $regex, with any of the letters 'imsx'.")
    flagged = {"$regex": f"(?{options}){pattern}" if options else pattern}
    return [(name, operand) for name, operand in {**condition, **flagged}.items() if name != "$options"]


def describes_value(wanted: Any) -> bool:
    """Whether an $elemMatch looks at members themselves, by operators alone, and not at fields of theirs."""
    first = next(iter(wanted), "") if isinstance(wanted, Mapping) else ""
    return first.startswith("$") and first not in ("$and", "$or", "$nor")


def listed(name: str, operand: Any) -> list[Any]:
    if not isinstance(operand, list):
        raise BadInput(f"{name} takes a list.")
    return operand


def size(operand: Any) -> int:
    if isinstance(operand, bool) or not isinstance(operand, (int, float)) or operand < 0 or operand != _whole(operand):
        raise BadInput("$size takes a whole number, 0 or more.")
    return int(operand)


def modulus(operand: Any) -> tuple[int, int]:
    """The divisor and the rest that $mod asks for."""
    match [_whole(number) for number in operand] if isinstance(operand, list) else []:
        case [int(divisor), int(rest)] if divisor:
            return divisor, rest
    raise BadInput("$mod takes a list of two numbers, the divisor (not 0) and the rest.")


def types(operand: Any) -> list[str]:
    """The types that $type names, by name or by number, one or a list."""
    named = operand if isinstance(operand, list) else [operand]
    found: list[Any] = [TYPES.get(kind, kind) if isinstance(kind, int) else kind for kind in named]
    strange = [kind for kind in found if kind not in (*TYPES.values(), "number")]
    if strange or not found:
        known = ", ".join((*TYPES.values(), "number"))
        raise BadInput(f"$type takes types that JSON has: {known}. '{strange[0] if strange else operand}' is none.")
    return [*found, *(NUMBERS if "number" in found else ())]


def type_of(found: Any) -> str:
    """The name that MongoDB has for the type of a value."""
    if isinstance(found, int) and not isinstance(found, bool):
        return "int" if found in INT else "long"
    return NAMES.get(type(found), "object")


def rank(found: Any) -> str:
    """What a value has an order with: numbers among themselves, texts among themselves."""
    kind = type_of(found)
    return "number" if kind in NUMBERS else kind


def _whole(number: Any) -> int | None:
    """A number without its fraction; None of what is no number, or larger than one may be."""
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) <= LARGEST_LONG:
        return None
    return int(number)


def rest_of(found: Any, divisor: int) -> int | None:
    """What is left of a number; like that of a negative one in C, it has the number's sign."""
    number = _whole(found)
    if number is None:
        return None
    rest = abs(number) % abs(divisor)
    return rest if number >= 0 else -rest
