"""What lies over a logged picture: the classes of its masks as colours, and its boxes with their words."""

import json
from typing import Any

from wandb_registry.store import Store

Row = dict[str, Any]
COLORS = ("#e4572e", "#2e86ab", "#57a773", "#f3a712", "#8963ba", "#29bfb8")  # of classes, in turn; class 0 is clear
LARGEST_BOXES = 256 * 2**10  # bytes of JSON that are read
MOST_BOXES = 200


def tables() -> list[tuple[str, str]]:
    """What an SVG filter makes of a mask's 256 shades, each a class: the values of red, green and blue."""
    shades = [COLORS[(number - 1) % len(COLORS)] for number in range(256)]
    places = (("R", 1), ("G", 3), ("B", 5))
    return [(name, " ".join(f"{int(shade[at : at + 2], 16) / 255:.2f}" for shade in shades)) for name, at in places]


def legend(config: Row, key: str) -> list[tuple[str, str]]:
    """(colour, name) of the classes of a picture's masks, as the SDK keeps them in the run's config."""
    kept = config.get("_wandb", {}).get("value", {})
    labels = kept.get("mask/class_labels") if isinstance(kept, dict) else None
    found: dict[str, str] = {}
    for name, entry in labels.items() if isinstance(labels, dict) else []:
        if name.startswith(f"{key}_wandb_delimeter_") and isinstance(entry, dict):
            found |= {str(number): str(word) for number, word in _object(entry.get("value")).items()}
    return [
        (COLORS[(int(number) - 1) % len(COLORS)], word)
        for number, word in found.items()
        if number.isdecimal() and number != "0"
    ]


def boxes(store: Store, file: Row, width: float, height: float) -> list[Row]:
    """The boxes of a file that the SDK wrote, in the picture's pixels; none if it can't be read."""
    if file["size"] > LARGEST_BOXES:
        return []
    try:
        said = json.loads(store.blobs.path(file["md5"]).read_bytes())
        data, labels = said["box_data"], _object(said.get("class_labels"))
        return [_box(one, labels, width, height) for one in data[:MOST_BOXES]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def _box(box: Row, labels: Row, width: float, height: float) -> Row:
    place = box["position"]
    across, down = (1, 1) if box.get("domain") == "pixel" else (width, height)
    if "middle" in place:
        x, y = place["middle"][0] - place["width"] / 2, place["middle"][1] - place["height"] / 2
        wide, high = place["width"], place["height"]
    else:
        x, y = place["minX"], place["minY"]
        wide, high = place["maxX"] - x, place["maxY"] - y
    number = box.get("class_id") or 0
    return {
        "x": float(x * across),
        "y": float(y * down),
        "width": max(0.0, float(wide * across)),
        "height": max(0.0, float(high * down)),
        "words": str(box.get("box_caption") or labels.get(str(number)) or ""),
        "color": COLORS[(int(number) - 1) % len(COLORS)],
    }


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}
