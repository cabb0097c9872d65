"""Regular expressions that clients search with, by RE2: its time grows with the text alone, whatever the pattern."""

import re
from functools import lru_cache
from typing import Any

from wandb_registry.errors import BadInput

MOST_MEMORY = 2**16  # bytes of a compiled pattern and what it notes down while it searches
# What `x` ignores, and what it doesn't look into: escaped characters and classes
VERBOSE = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\s+|#[^\n]*", re.DOTALL)


def with_options(pattern: str, options: str) -> str:
    """The pattern with MongoDB's options in it: i, m and s are RE2's own flags, x is applied here."""
    if "x" in options:
        pattern = VERBOSE.sub(lambda match: match[1] or "", pattern)
    flags = "".join(sorted(set(options) - {"x"}))
    return f"(?{flags}){pattern}" if flags else pattern


def matches(pattern: str, value: Any) -> bool:
    """Whether the pattern is found somewhere in a value's text; nothing is found in None."""
    return value is not None and compiled(pattern).search(str(value)) is not None


@lru_cache(maxsize=100)
def compiled(pattern: str) -> Any:
    """RE2's form of a pattern. Raises BadInput for one that it doesn't take."""
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
