"""Overlays of a logged picture: masks, whose classes are colours, and boxes with captions."""

import json
from contextlib import suppress
from typing import Any

from wandb_registry.store import Store

Row = dict[str, Any]
COLORS = ("#e4572e", "#2e86ab", "#57a773", "#f3a712", "#8963ba", "#29bfb8")  # of classes, in turn; class 0 has none
LARGEST_BOXES = 4 * 2**20  # bytes of JSON that are read
MOST_BOXES = 200  # of one file that are drawn


def mask_colors() -> list[tuple[str, str]]:
    """The tables of an SVG filter that colours masks, whose 256 shades are classes: (channel, values from 0 to 1)."""
    shades = [COLORS[(number - 1) % len(COLORS)] for number in range(256)]
    channels = (("R", 1), ("G", 3), ("B", 5))  # where each stands in #rrggbb
    return [(name, " ".join(f"{int(shade[at : at + 2], 16) / 255:.2f}" for shade in shades)) for name, at in channels]


def legend(config: Row, key: str) -> list[tuple[str, str]]:
    """(colour, name) of the classes of a picture's masks, as the SDK keeps them in the run's config."""
    internal = config.get("_wandb", {}).get("value", {})
    labels = internal.get("mask/class_labels") if isinstance(internal, dict) else None
    classes: dict[str, str] = {}
    for name, entry in labels.items() if isinstance(labels, dict) else []:
        if name.startswith(f"{key}_wandb_delimeter_") and isinstance(entry, dict):
            classes |= {str(number): str(name) for number, name in _object(entry.get("value")).items()}
    return [
        (COLORS[(int(number) - 1) % len(COLORS)], name)
        for number, name in classes.items()
        if number.isdecimal() and number != "0"
    ]


def boxes(store: Store, file: Row, width: float, height: float) -> tuple[list[Row], int | None]:
    """The first boxes in a file of the SDK, in pixels of the picture, and how many it has; None if it can't be read."""
    if file["size"] > LARGEST_BOXES:
        return [], None
    try:
        value = json.loads(store.blobs.local(file["md5"]).read_bytes())
        data, labels = list(value["box_data"]), _object(value.get("class_labels"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [], None
    drawn: list[Row] = []
    for one in data[:MOST_BOXES]:
        with suppress(ValueError, KeyError, TypeError, AttributeError, OverflowError):  # one that is none
            drawn.append(_box(one, labels, width, height))
    return drawn, len(data)


def _box(box: Row, labels: Row, width: float, height: float) -> Row:
    position = box["position"]
    across, down = (1, 1) if box.get("domain") == "pixel" else (width, height)
    if "middle" in position:
        middle_x, middle_y = position["middle"]
        box_width, box_height = position["width"], position["height"]
        x, y = middle_x - box_width / 2, middle_y - box_height / 2
    else:
        x, y = position["minX"], position["minY"]
        box_width, box_height = position["maxX"] - x, position["maxY"] - y
    number = box.get("class_id") or 0
    return {
        "x": float(x * across),
        "y": float(y * down),
        "width": max(0.0, float(box_width * across)),
        "height": max(0.0, float(box_height * down)),
        "caption": str(box.get("box_caption") or labels.get(str(number)) or ""),
        "color": COLORS[(int(number) - 1) % len(COLORS)],
    }


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}
