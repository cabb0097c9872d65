"""What a part of an address may hold: Starlette's `path` ends at a line's end, which names of files may have."""

from starlette.convertors import PathConvertor, register_url_convertor


class WholePath(PathConvertor):
    """Any text, with its slashes and line ends."""

    regex = "(?s:.*)"


def register() -> None:
    """Makes `{name:path}` in a route stand for the whole path. Before the first route is made."""
    register_url_convertor("path", WholePath())
