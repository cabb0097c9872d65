"""Responses with contents of the store. One that doesn't have its md5 any more is never sent whole."""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from wandb_registry.errors import BadInput, DamagedContent, NotFound
from wandb_registry.storage.blobs import md5_of
from wandb_registry.store import Store

if TYPE_CHECKING:
    from wandb_registry.storage.bucket import Bucket

SMALL = 256 * 2**10  # bytes of a content that is read and sent at once
CHUNK = 2**20
ADDRESS_SECONDS = 3600  # that an address in a bucket is valid for
ANY_BYTES = "application/octet-stream"
SIGNATURES = (  # offset, bytes and media type of formats that can hold no script
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
LARGEST_PAGE = 32 * 2**20  # bytes of an uploaded page that is shown in a frame
# All that a page needs must be in it: nothing is loaded or sent, from this registry or elsewhere
SANDBOX = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob: data:; style-src 'unsafe-inline' data:; "
    "img-src data: blob:; media-src data: blob:; font-src data:; connect-src 'none'; frame-src 'none'; "
    "worker-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
# A page of ours about an uploaded file: its scripts are those that have the nonce, and no text of the file
DRAWING = (
    "default-src 'none'; script-src 'nonce-{}'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "connect-src 'none'; frame-src 'none'; worker-src 'none'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
NO_LOOKUPS = {"x-dns-prefetch-control": "off", "cache-control": "no-store"}  # names in links aren't looked up either
IMMUTABLE = {"cache-control": "private, max-age=31536000, immutable"}  # the address names the content


class BlobDownloads:
    """Downloads of one store's contents."""

    def __init__(self, store: Store):
        self.blobs, self.bucket = store.blobs, store.bucket
        self._verified: dict[str, tuple[int, ...]] = {}  # by md5: inode, size and time of a file that was checked

    async def response(self, request: Request, md5: str, name: str, inline: bool = False) -> Response:
        """Sends the whole content, or the range that the request names.

        With `inline` browsers show pictures, sounds and films; all else is a download.
        Raises NotFound, or DamagedContent if the bytes don't have the md5. A bucket sends them itself: the answer is an
        address there.
        """
        if self.bucket and not inline:
            return RedirectResponse(
                await run_in_threadpool(self._elsewhere, self.bucket, request.method, md5, name), 307
            )
        try:
            path = await run_in_threadpool(self.blobs.local, md5) if self.bucket else self.blobs.local(md5)
            file = path.open("rb")
        except FileNotFoundError:
            raise NotFound(f"The content of '{name}' is not in the store.") from None
        # a download by default: shown inline, an uploaded HTML file would run as a page of this origin
        headers = attachment(name)
        media_type = ANY_BYTES
        if inline and (known_type := _media_type(file)):
            media_type, headers = known_type, IMMUTABLE
        whole = request.method == "GET" and "range" not in request.headers
        size = os.fstat(file.fileno()).st_size
        if whole and size > SMALL:
            headers = headers | {"content-length": str(size)}
            return StreamingResponse(_verified_chunks(file, md5, name), media_type=media_type, headers=headers)
        with file:
            if whole:
                body = file.read()
                if hashlib.md5(body, usedforsecurity=False).hexdigest() != md5:
                    raise DamagedContent(name, md5)
                return Response(body, media_type=media_type, headers=headers)
            await run_in_threadpool(self._verify, file, md5, name)
        return FileResponse(path, media_type=media_type, headers=headers)

    async def framed(
        self, md5: str, name: str, scripts: bool, page: Callable[[bytes, str], bytes] | None = None
    ) -> Response:
        """Sends an uploaded page for a sandboxed frame, where it runs as a page of no origin and reaches no host.

        `page` makes a page of ours from a content that is none, and a nonce.
        Raises NotFound, DamagedContent, and BadInput for a page that is too large to be held in memory.
        """
        try:
            body = await run_in_threadpool(lambda: _read(self.blobs.local(md5)))
        except FileNotFoundError:
            raise NotFound(f"The content of '{name}' is not in the store.") from None
        if hashlib.md5(body, usedforsecurity=False).hexdigest() != md5:
            raise DamagedContent(name, md5)
        policy = SANDBOX
        if page:
            nonce = secrets.token_hex(16)
            policy, body = DRAWING.format(nonce), await run_in_threadpool(page, body, nonce)
        policy = f"sandbox{' allow-scripts' if scripts else ''}; {policy}"
        return Response(body, media_type="text/html", headers={"content-security-policy": policy, **NO_LOOKUPS})

    def _elsewhere(self, bucket: "Bucket", method: str, md5: str, name: str) -> str:
        headers = {"ResponseContentType": ANY_BYTES, "ResponseContentDisposition": _disposition(name)}
        return bucket.download_address(md5, ADDRESS_SECONDS, method, headers if method == "GET" else {})

    def _verify(self, file: BufferedReader, md5: str, name: str) -> None:
        """Checks the md5 of the whole file, since a range has none. Checks again only after a change."""
        stat = os.fstat(file.fileno())
        state = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if self._verified.get(md5) != state:
            if md5_of(file) != md5:
                raise DamagedContent(name, md5)
            self._verified[md5] = state


def _read(path: Path) -> bytes:
    if path.stat().st_size > LARGEST_PAGE:
        raise BadInput(f"A file of more than {LARGEST_PAGE // 2**20} MiB is not shown. Download it instead.")
    return path.read_bytes()


def attachment(name: str) -> dict[str, str]:
    """The header by which browsers save a response as a file of this name."""
    return {"content-disposition": _disposition(name)}


def _disposition(name: str) -> str:
    return f"attachment; filename*=utf-8''{quote(name, safe='')}"


def _media_type(file: BufferedReader) -> str | None:
    """The media type of a picture, sound or film, by its first bytes: its name may lie."""
    head = file.peek(12)
    return next((kind for at, mark, kind in SIGNATURES if head[at : at + len(mark)] == mark), None)


async def _verified_chunks(file: BufferedReader, md5: str, name: str) -> AsyncIterator[bytes]:
    """The file in chunks. The last one is sent only if the md5 is right, so a damaged content is never complete."""
    digest = hashlib.md5(usedforsecurity=False)

    def read() -> bytes:
        chunk = file.read(CHUNK)
        digest.update(chunk)
        return chunk

    with file:
        last = b""
        while chunk := await run_in_threadpool(read):
            if last:
                yield last
            last = chunk
        if digest.hexdigest() != md5:
            raise DamagedContent(name, md5)
        yield last
