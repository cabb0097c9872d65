"""Draws pictures on a sheet, for `dvc plots show` and W&B."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.dataset import as_picture

ACROSS, SIDE, WIDTH, HEIGHT = 5, 84, 132, 116  # pictures in a row, then pixels
LONGEST = 14  # characters of a class's name in a caption

Shown = tuple[np.ndarray | None, str]  # a picture, or none; and its caption


def draw(path: Path, pictures: Sequence[Shown], without: str) -> None:
    """Draw pictures, float (height, width, channels) in [0, 1], each over its caption. Without any, write `without`."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(13)
    width = max([WIDTH, *(round(font.getlength(caption)) + 14 for _, caption in pictures)])
    down = max(1, -(-len(pictures) // ACROSS))
    drawn = [as_picture(pixels) for pixels, _ in pictures if pixels is not None]
    colour = any(one.ndim == 3 for one in drawn)
    # White on black is drawn as on paper
    is_ink = bool(drawn) and not colour and float(np.median(np.stack(drawn))) == 0
    sheet = Image.new("RGB" if colour else "L", (ACROSS * width, down * HEIGHT), "white")
    pen, ink = ImageDraw.Draw(sheet), "black"
    for at, (pixels, caption) in enumerate(pictures):
        left, top = at % ACROSS * width + (WIDTH - SIDE) // 2, at // ACROSS * HEIGHT + 6
        if pixels is not None:
            shown = as_picture(pixels)
            height, wide = shown.shape[:2]
            scale = SIDE / max(height, wide)
            picture = Image.fromarray(255 - shown if is_ink else shown).resize(
                (max(1, round(wide * scale)), max(1, round(height * scale))),
                Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX,
            )
            sheet.paste(picture, (left, top))
        pen.text((left - 14, top + SIDE + 4), caption, fill=ink, font=font)
    if not pictures:
        pen.text((10, 50), without, fill=ink, font=font)
    sheet.save(path, compress_level=0)  # not compressed: two builds of zlib give different bytes


def shortened(name: str) -> str:
    """A class's name as a caption has room for it, on one line."""
    line = " ".join(name.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
