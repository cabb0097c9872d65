"""Console lines as a terminal shows them: with its colours, and without its other escape sequences."""

import re

ESCAPE = re.compile(r"\x1b\[([0-9;:]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.?")
COLORS = {1: "red", 2: "green", 3: "yellow", 4: "blue", 5: "blue", 6: "blue"}  # of 30 … 37 and 90 … 97
LONGEST_LINE = 20_000  # characters that are shown among other lines
MOST_SPANS = 500  # in a line
Spans = list[tuple[str, str]]


def seen(line: str) -> str:
    """What a screen shows of a line in the end: a progress bar has overwritten the rest."""
    return line.rstrip("\r").rpartition("\r")[2]


def styled_spans(line: str) -> Spans:
    """The pieces of a line as (CSS classes, text)."""
    if "\x1b" not in line:
        return [("", line)]
    spans: Spans = []
    color, bold, end = "", False, 0
    for escape in ESCAPE.finditer(line):
        _add(spans, color, bold, line[end : escape.start()])
        end = escape.end()
        if escape[2] == "m":
            color, bold = _style_after(escape[1], color, bold)
    _add(spans, color, bold, line[end:])
    return spans


def _add(spans: Spans, color: str, bold: bool, text: str) -> None:
    if not text:
        return
    classes = " ".join(filter(None, (f"c-{color}" if color else "", "c-bold" if bold else "")))
    if spans and (spans[-1][0] == classes or len(spans) >= MOST_SPANS):
        spans[-1] = (spans[-1][0], spans[-1][1] + text)
    else:
        spans.append((classes, text))


def _style_after(codes: str, color: str, bold: bool) -> tuple[str, bool]:
    """Colour and weight after a sequence such as `1;31`; only the terminal's eight basic colours are kept."""
    numbers = iter(int(code) if code else 0 for code in re.split("[;:]", codes[:60]))
    for number in numbers:
        if number == 0:
            color, bold = "", False
        elif number in (1, 22):
            bold = number == 1
        elif number in (38, 48):
            for _ in range({5: 1, 2: 3}.get(next(numbers, 0), 0)):
                next(numbers, None)
            color = "" if number == 38 else color
        elif number // 10 in (3, 9):
            color = COLORS.get(number % 10, "")
    return color, bold
