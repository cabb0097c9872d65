"""Charts and graphs as SVG, drawn by the server."""
