"""What the charts that the browser draws are made of, and the charts that the server draws as SVG."""

from wandb_registry.drawing.line_chart import Frame

FRAME = Frame(width=470, height=200, left=56, right=458, top=12, bottom=168)
