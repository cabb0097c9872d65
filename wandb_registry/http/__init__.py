"""HTTP endpoints and what every request passes: authentication, limits, uploads and downloads."""
