"""The doors for bytes.

The SDK sends no key with most of them, so the addresses that GraphQL gives out carry their own permission. Uploads are
checked against the digest that was promised, and acknowledged when they are on disk.
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wandb_registry.db.connection import Connection
from wandb_registry.errors import BadInput, Forbidden, NotFound
from wandb_registry.http.authentication import viewer_of_request
from wandb_registry.http.downloads import Downloads
from wandb_registry.http.request_bodies import whole_body
from wandb_registry.model import access, ids
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import content_ownership, manifests
from wandb_registry.model.runs import run_files
from wandb_registry.storage import blobs
from wandb_registry.storage.blobs import Incoming
from wandb_registry.storage.durable_uploads import Intake
from wandb_registry.store import Store

LARGEST_MANIFEST = 512 * 2**20
CHUNK = 2**20
SMALL = 2**20  # bytes of an upload that is held in memory until it is kept


def routes(store: Store) -> list[Route]:
    doors = FileTransfers(store)
    return [
        Route("/storage/artifacts/{artifact:int}/wandb_manifest.json", doors.get_manifest),
        Route("/storage/artifacts/{artifact:int}/{md5}", doors.put_content, methods=["PUT"]),
        Route("/storage/parts/{upload}/{number:int}/{md5}", doors.put_part, methods=["PUT"]),
        Route("/storage/manifests/{manifest:int}", doors.put_manifest, methods=["PUT"]),
        Route("/storage/runs/{run:int}/{name:path}", doors.put_run_file, methods=["PUT"]),
        Route("/storage/wandb_artifacts/{md5}/{name}", doors.get_content),
        Route(
            "/artifactsV2/{region}/{entity}/{project}/{collection}/{artifact}/{birth}/{md5}/{name}", doors.get_with_key
        ),
    ]


class FileTransfers:
    """Uploads and downloads of one store."""

    def __init__(self, store: Store):
        self.store = store
        self.intake = Intake(store.db, store.blobs)
        self.downloads = Downloads(store.blobs)

    async def put_content(self, request: Request) -> Response:
        """A file of a version that is being logged."""
        self._check(request)
        artifact, md5 = request.path_params["artifact"], request.path_params["md5"]
        await self._take(
            request, md5, lambda db, md5, size: content_ownership.add(db, artifact, md5, size), promised=md5
        )
        return Response()

    async def put_part(self, request: Request) -> Response:
        """A part of a large file of a version; with the last one the file is in its place."""
        self._check(request)
        id, number, md5 = (request.path_params[name] for name in ("upload", "number", "md5"))
        upload = self.store.parts.find(id)
        with self.store.blobs.receive() as incoming:
            await self._write_down(request, f"part {number}", incoming, bytearray(), request.stream())
            part = incoming.set_aside(f"part {number}", md5)
        try:
            size = await run_in_threadpool(upload.add, number, part)
        except Exception:
            self.store.parts.end(id)
            raise
        if size is not None:
            promise = upload.promise
            await self.intake.take(
                promise.md5, None, lambda db: content_ownership.add(db, promise.artifact, promise.md5, size)
            )
            self.store.parts.end(id)
        return Response(headers={"etag": f'"{md5}"'})

    async def put_manifest(self, request: Request) -> Response:
        """The list of a version's files."""
        self._check(request)
        body = await whole_body(request, LARGEST_MANIFEST)
        await self._write(lambda db: manifests.receive(db, request.path_params["manifest"], body))
        return Response()

    async def put_run_file(self, request: Request) -> Response:
        """A file of a run, new or instead of the one by this name."""
        self._check(request)
        run, name = request.path_params["run"], request.path_params["name"]
        await self._take(request, name, lambda db, md5, size: run_files.put(db, run, name, md5, size))
        return Response()

    async def get_content(self, request: Request) -> Response:
        self._check(request)
        return await self.downloads.answer(request, request.path_params["md5"], request.path_params["name"])

    async def get_manifest(self, request: Request) -> Response:
        self._check(request)
        body = await run_in_threadpool(self._render_manifest, request.path_params["artifact"])
        return Response(body, media_type="application/json")

    async def get_with_key(self, request: Request) -> Response:
        """Where the SDK goes when the address it was given has run out."""
        await run_in_threadpool(self._check_key, request)
        return await self.downloads.answer(request, request.path_params["md5"], request.path_params["name"])

    def _check(self, request: Request) -> None:
        verb = "GET" if request.method == "HEAD" else request.method
        expires, signature = (request.query_params.get(name, "") for name in ("expires", "signature"))
        if not self.store.signer.allows(verb, request.scope["path"], expires, signature):
            raise Forbidden("This address was not given out by the registry, or its time is over.")

    def _check_key(self, request: Request) -> None:
        viewer = viewer_of_request(request, self.store)
        number = ids.decode(request.path_params["artifact"], "Artifact")
        with self.store.db.read() as db:
            access.artifact(db, viewer, number, Role.VIEWER)
            if not manifests.has_content(db, number, request.path_params["md5"]):
                raise NotFound("The artifact has no file with this content.")

    def _render_manifest(self, artifact: int) -> bytes:
        with self.store.db.read() as db:
            return manifests.render(db, artifact)

    async def _take(
        self, request: Request, name: str, record: Callable[[Connection, str, int], None], promised: str | None = None
    ) -> None:
        """Takes the body in under its md5, with a record of it. Small ones never leave memory before they are kept."""
        body, stream = bytearray(), request.stream()
        async for chunk in stream:
            body += chunk
            if len(body) > SMALL:
                break
        if len(body) > SMALL:
            kept = None
            md5, size = await self._to_disk(request, name, promised, body, stream)
        else:
            kept, size = bytes(body), len(body)
            md5 = hashlib.md5(kept, usedforsecurity=False).hexdigest()
            _check_length(request, name, size)
            blobs.check(name, md5, promised)
        await self.intake.take(md5, kept, lambda db: record(db, md5, size))

    async def _to_disk(
        self, request: Request, name: str, promised: str | None, pending: bytearray, stream: AsyncIterator[bytes]
    ) -> tuple[str, int]:
        """Takes what came and the rest of the stream to disk; answers its md5 and size."""
        with self.store.blobs.receive() as incoming:
            await self._write_down(request, name, incoming, pending, stream)
            return await run_in_threadpool(incoming.keep, name, promised), incoming.size

    async def _write_down(
        self, request: Request, name: str, incoming: Incoming, pending: bytearray, stream: AsyncIterator[bytes]
    ) -> None:
        """Writes what came and the rest of the stream to disk; all that was announced has to arrive."""
        async for chunk in stream:
            pending += chunk
            if len(pending) >= CHUNK:
                await run_in_threadpool(incoming.write, pending)
                pending = bytearray()
        await run_in_threadpool(incoming.write, pending)
        _check_length(request, name, incoming.size)

    async def _write(self, change: Callable[[Connection], Any]) -> None:
        def transaction() -> None:
            with self.store.db.write() as db:
                change(db)

        await run_in_threadpool(transaction)


def _check_length(request: Request, name: str, size: int) -> None:
    announced = request.headers.get("content-length")
    if announced is not None and size != int(announced):
        raise BadInput(f"{name}: {size} of {announced} bytes arrived. Nothing was stored; upload it again.")
