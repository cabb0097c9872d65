"""Contents on their way out: what the disk has damaged is refused, never served whole."""

import hashlib
import os
from collections.abc import AsyncIterator
from io import BufferedReader
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from wandb_registry.errors import Damaged, NotFound
from wandb_registry.storage.blobs import Blobs, md5_of

SMALL = 256 * 2**10  # bytes that are read and sent in one go
CHUNK = 2**20
MEDIA_TYPE = "application/octet-stream"
MEDIA = (  # pictures of pixels, sounds and films, by what stands where in them: nothing in them can run
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"BM", "image/bmp"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
)
KEPT = {"cache-control": "private, max-age=31536000, immutable"}  # the address names the content


class Downloads:
    """Answers with contents of one store."""

    def __init__(self, blobs: Blobs):
        self.blobs = blobs
        self._proved: dict[str, tuple[int, ...]] = {}  # large files whose md5 was read once, as they were then

    async def answer(self, request: Request, md5: str, name: str, inline: bool = False) -> Response:
        """The whole content, or the range that is asked for. `inline` shows media, and makes no page of the rest."""
        path = self.blobs.path(md5)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise NotFound(f"The content of '{name}' is not in the store.") from None
        # never shown in the page's origin: an uploaded HTML file is a download, not a page
        headers = saved_as(name)
        kind = MEDIA_TYPE
        if inline and (medium := _medium(file)):
            kind, headers = medium, KEPT
        whole = request.method == "GET" and "range" not in request.headers
        size = os.fstat(file.fileno()).st_size
        if whole and size > SMALL:
            headers = headers | {"content-length": str(size)}
            return StreamingResponse(_checked(file, md5, name), media_type=kind, headers=headers)
        with file:
            if whole:
                body = file.read()
                if hashlib.md5(body, usedforsecurity=False).hexdigest() != md5:
                    raise Damaged(name, md5)
                return Response(body, media_type=kind, headers=headers)
            await run_in_threadpool(self._prove, file, md5, name)
        return FileResponse(path, media_type=kind, headers=headers)

    def _prove(self, file: BufferedReader, md5: str, name: str) -> None:
        """Reads the file for its md5, unless that was done since it last changed: a range alone proves nothing."""
        facts = os.fstat(file.fileno())
        state = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if self._proved.get(md5) != state:
            if md5_of(file) != md5:
                raise Damaged(name, md5)
            self._proved[md5] = state


def saved_as(name: str) -> dict[str, str]:
    """The header by which browsers save an answer as a file of this name."""
    return {"content-disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"}


def _medium(file: BufferedReader) -> str | None:
    """The media type of a picture, sound or film, told by its bytes: names say nothing."""
    head = file.peek(12)
    return next((kind for place, mark, kind in MEDIA if head[place : place + len(mark)] == mark), None)


async def _checked(file: BufferedReader, md5: str, name: str) -> AsyncIterator[bytes]:
    """The file in pieces. The last one is held back until the md5 of all is right: without it nothing is complete."""
    found = hashlib.md5(usedforsecurity=False)

    def following() -> bytes:
        piece = file.read(CHUNK)
        found.update(piece)
        return piece

    with file:
        held = b""
        while piece := await run_in_threadpool(following):
            if held:
                yield held
            held = piece
        if found.hexdigest() != md5:
            raise Damaged(name, md5)
        yield held
