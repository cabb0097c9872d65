"""Regular expressions of clients. RE2 matches them: its time is linear in the text, whatever the pattern."""

import re
from functools import lru_cache
from typing import Any

from wandb_registry.errors import BadInput

MOST_MEMORY = 2**16  # bytes for a compiled pattern and the state of a search
# What option `x` leaves out of a pattern: spaces and comments. Group 1 is what it keeps: escapes and classes.
VERBOSE = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\s+|#[^\n]*", re.DOTALL)


def with_options(pattern: str, options: str) -> str:
    """Puts MongoDB's options into a pattern. RE2 has the flags i, m and s; x is applied here."""
    if "x" in options:
        pattern = VERBOSE.sub(lambda match: match[1] or "", pattern)
    flags = "".join(sorted(set(options) - {"x"}))
    return f"(?{flags}){pattern}" if flags else pattern


def matches(pattern: str, value: Any) -> bool:
    """Whether the pattern matches anywhere in a value's text. None never matches."""
    return value is not None and compiled(pattern).search(str(value)) is not None


@lru_cache(maxsize=100)
def compiled(pattern: str) -> Any:
    """The compiled pattern. Raises BadInput for one that RE2 doesn't take."""
    import re2  # only here: the server starts without it

    options = re2.Options()
    options.max_mem = MOST_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error, re2.error) else "it is no Unicode"
    raise BadInput(
        f"The filter's pattern '{pattern[:80]}' can't be read by RE2, which has no lookaround and no backreferences: "
        f"{reason[:80]}."
    )
