"""Charts as SVG, drawn by the server."""

from wandb_registry.drawing.line_chart import Frame

FRAME = Frame(width=470, height=200, left=56, right=458, top=12, bottom=168)
