"""Draws digits, for `dvc plots show` and W&B."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ACROSS, DIGIT, WIDTH, HEIGHT = 5, 84, 132, 116  # digits in a row, then pixels


def draw(path: Path, digits: list[tuple[np.ndarray, str]], without: str) -> None:
    """Draw digits, float (28, 28) in [0, 1], each with its caption below. Without any, write `without`."""
    from PIL import Image, ImageDraw, ImageFont

    down = max(1, -(-len(digits) // ACROSS))
    sheet = Image.new("L", (ACROSS * WIDTH, down * HEIGHT), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for at, (pixels, caption) in enumerate(digits):
        left, top = at % ACROSS * WIDTH + (WIDTH - DIGIT) // 2, at // ACROSS * HEIGHT + 6
        picture = Image.fromarray(np.rint(255 - pixels * 255).astype("uint8")).resize(
            (DIGIT, DIGIT), Image.Resampling.NEAREST
        )
        sheet.paste(picture, (left, top))
        pen.text((left - 14, top + DIGIT + 4), caption, fill=0, font=font)
    if not digits:
        pen.text((10, 50), without, fill=0, font=font)
    sheet.save(path, compress_level=0)  # not compressed: two builds of zlib give different bytes
