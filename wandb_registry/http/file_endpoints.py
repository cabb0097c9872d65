"""The endpoints that upload and download files.

The SDK sends no key to most of them, so the addresses that GraphQL gives out are signed. An upload is checked against
the md5 in its address, and acknowledged when it is on disk.
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
from wandb_registry.http.downloads import BlobDownloads
from wandb_registry.http.request_bodies import whole_body
from wandb_registry.model import access, ids
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import content_ownership, manifests
from wandb_registry.model.runs import run_files
from wandb_registry.storage.blobs import BlobWriter, check_md5
from wandb_registry.storage.group_commit import UploadCommitter
from wandb_registry.store import Store

LARGEST_MANIFEST = 512 * 2**20  # bytes
CHUNK = 2**20  # bytes that are written at once
SMALL = 2**20  # bytes of an upload that stays in memory until its commit


def routes(store: Store) -> list[Route]:
    endpoints = FileEndpoints(store)
    return [
        Route("/storage/artifacts/{artifact:int}/wandb_manifest.json", endpoints.get_manifest),
        Route("/storage/artifacts/{artifact:int}/{md5}", endpoints.put_content, methods=["PUT"]),
        Route("/storage/parts/{upload}/{number:int}/{md5}", endpoints.put_part, methods=["PUT"]),
        Route("/storage/manifests/{manifest:int}", endpoints.put_manifest, methods=["PUT"]),
        Route("/storage/runs/{run:int}/{name:path}", endpoints.put_run_file, methods=["PUT"]),
        Route("/storage/wandb_artifacts/{md5}/{name}", endpoints.get_content),
        Route(
            "/artifactsV2/{region}/{entity}/{project}/{collection}/{artifact}/{birth}/{md5}/{name}",
            endpoints.get_with_key,
        ),
    ]


class FileEndpoints:
    """Uploads and downloads of one store."""

    def __init__(self, store: Store):
        self.store = store
        self.committer = UploadCommitter(store.db, store.blobs)
        self.downloads = BlobDownloads(store)

    async def put_content(self, request: Request) -> Response:
        """A file of a version that is being logged."""
        self._check_signature(request)
        artifact, md5 = request.path_params["artifact"], request.path_params["md5"]
        await self._receive(
            request, md5, lambda db, md5, size: content_ownership.add(db, artifact, md5, size), expected=md5
        )
        return Response()

    async def put_part(self, request: Request) -> Response:
        """A part of a large file of a version; the last one completes the file."""
        self._check_signature(request)
        id, number, md5 = (request.path_params[name] for name in ("upload", "number", "md5"))
        upload = self.store.multipart_uploads.find(id)
        with self.store.blobs.writer() as writer:
            await self._write_body(request, f"part {number}", writer, bytearray(), request.stream())
            part = writer.keep_part(f"part {number}", md5)
        try:
            size = await run_in_threadpool(upload.add, number, part)
        except Exception:
            self.store.multipart_uploads.end(id)
            raise
        if size is not None:
            md5_of_whole, artifact = upload.expected.md5, upload.expected.artifact_id
            await self.committer.commit(
                md5_of_whole, None, lambda db: content_ownership.add(db, artifact, md5_of_whole, size)
            )
            self.store.multipart_uploads.end(id)
        return Response(headers={"etag": f'"{md5}"'})

    async def put_manifest(self, request: Request) -> Response:
        """The list of a version's files."""
        self._check_signature(request)
        body = await whole_body(request, LARGEST_MANIFEST)
        await self._write(lambda db: manifests.receive(db, request.path_params["manifest"], body))
        return Response()

    async def put_run_file(self, request: Request) -> Response:
        """A file of a run. It replaces an earlier one of the same name."""
        self._check_signature(request)
        run, name = request.path_params["run"], run_files.clean_name(request.path_params["name"])
        await self._receive(request, name, lambda db, md5, size: run_files.put(db, run, name, md5, size))
        return Response()

    async def get_content(self, request: Request) -> Response:
        self._check_signature(request)
        return await self.downloads.response(request, request.path_params["md5"], request.path_params["name"])

    async def get_manifest(self, request: Request) -> Response:
        self._check_signature(request)
        body = await run_in_threadpool(self._render_manifest, request.path_params["artifact"])
        return Response(body, media_type="application/json")

    async def get_with_key(self, request: Request) -> Response:
        """Where the SDK goes when a signed address has expired."""
        await run_in_threadpool(self._check_key, request)
        return await self.downloads.response(request, request.path_params["md5"], request.path_params["name"])

    def _check_signature(self, request: Request) -> None:
        verb = "GET" if request.method == "HEAD" else request.method
        expires, signature = (request.query_params.get(name, "") for name in ("expires", "signature"))
        if not self.store.signer.allows(verb, _path(request), expires, signature):
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

    async def _receive(
        self,
        request: Request,
        name: str,
        write_record: Callable[[Connection, str, int], None],
        expected: str | None = None,
    ) -> None:
        """Stores the body under its md5, with a record of it. A small body stays in memory until its commit."""
        body, stream = bytearray(), request.stream()
        async for chunk in stream:
            body += chunk
            if len(body) > SMALL:
                break
        if len(body) > SMALL:
            content = None
            md5, size = await self._to_disk(request, name, expected, body, stream)
        else:
            content, size = bytes(body), len(body)
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            _check_length(request, name, size)
            check_md5(name, md5, expected)
        await self.committer.commit(md5, content, lambda db: write_record(db, md5, size))

    async def _to_disk(
        self, request: Request, name: str, expected: str | None, head: bytearray, stream: AsyncIterator[bytes]
    ) -> tuple[str, int]:
        """Stores the bytes so far and the rest of the stream; returns md5 and size."""
        with self.store.blobs.writer() as writer:
            await self._write_body(request, name, writer, head, stream)
            return await run_in_threadpool(writer.commit, name, expected), writer.size

    async def _write_body(
        self, request: Request, name: str, writer: BlobWriter, buffer: bytearray, stream: AsyncIterator[bytes]
    ) -> None:
        """Writes the bytes so far and the rest of the stream. Refuses a body that is shorter than its header says."""
        async for chunk in stream:
            buffer += chunk
            if len(buffer) >= CHUNK:
                await run_in_threadpool(writer.write, buffer)
                buffer = bytearray()
        await run_in_threadpool(writer.write, buffer)
        _check_length(request, name, writer.size)

    async def _write(self, change: Callable[[Connection], Any]) -> None:
        def transaction() -> None:
            with self.store.db.write() as db:
                change(db)

        await run_in_threadpool(transaction)


def _path(request: Request) -> str:
    """The address as it was signed: without the path of a public address."""
    return request.scope["path"].removeprefix(request.scope.get("root_path", ""))


def _check_length(request: Request, name: str, size: int) -> None:
    announced = request.headers.get("content-length")
    if announced is not None and size != int(announced):
        raise BadInput(f"{name}: {size} of {announced} bytes arrived. Nothing was stored; upload it again.")
