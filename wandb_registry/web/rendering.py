"""Renders templates with Jinja, and serves the static files.

All files are read at start, so that the server keeps working if its folder is removed.
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from wandb_registry.errors import NotFound
from wandb_registry.model.artifacts import dvc_md5
from wandb_registry.web import addresses, formats

HERE = Path(__file__).parent
TEMPLATES = {path.name: path.read_text() for path in (HERE / "templates").glob("*.html")}
STATIC = {
    str(path.relative_to(HERE / "static")): path.read_bytes()
    for path in sorted((HERE / "static").rglob("*"))
    if path.is_file()
}
HASHES = {name: hashlib.md5(body, usedforsecurity=False).hexdigest()[:8] for name, body in STATIC.items()}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}
FOREVER = "private, max-age=31536000, immutable"  # the address names the content


def render(template: str, values: dict[str, Any]) -> str:
    return _environment().get_template(template).render(values)


@cache
def _environment():
    """Jinja, imported when the first page is shown: a server that only serves stages never needs it."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    environment = Environment(
        loader=DictLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(formats.FILTERS, md5_of_alias=dvc_md5.md5_of_alias, content_alias=dvc_md5.content_alias)
    environment.tests.update(content_alias=dvc_md5.is_content_alias)
    environment.globals.update(asset=asset, to=addresses)
    return environment


def asset(name: str) -> str:
    """The address of a static file. It changes with the file, so browsers may cache it forever."""
    return addresses.at(f"/static/{name}?v={HASHES[name]}")


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress(STATIC[name], mtime=0)


async def static_file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise NotFound(f"There is nothing at {request.url.path}.")
    media_type = MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")
    caching = FOREVER if request.query_params.get("v") == HASHES[name] else "no-cache"
    headers = {"cache-control": caching, "vary": "accept-encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(STATIC[name], media_type=media_type, headers=headers)
    return Response(_compressed(name), media_type=media_type, headers=headers | {"content-encoding": "gzip"})
