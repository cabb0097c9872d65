"""The mutations that upload a version. They give out an address for each manifest and each file."""

from wandb_registry.errors import BadInput
from wandb_registry.graphql import refusals
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.graphql.engine.limits import refuse
from wandb_registry.model import access, ids
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import artifacts, collections, content_ownership, dvc_md5, manifests
from wandb_registry.storage.blobs import to_base64, to_hex
from wandb_registry.storage.multipart_uploads import ExpectedContent

mutation = Fields("Mutation")
FIELDS = (mutation,)

UPLOAD_SECONDS = 24 * 3600


@mutation.field("createArtifactManifest")
def create_manifest(_, info, input):
    artifact = _pending(info, input["artifact_id"])
    _take_base(info, artifact, input)
    manifest = manifests.create(info.context.db, artifact["id"], input.get("type") or "FULL", input["digest"])
    return {"artifact_manifest": _with_address(info, manifest)}


@mutation.field("updateArtifactManifest")
def update_manifest(_, info, input):
    manifest = manifests.find(info.context.db, ids.decode(input["artifact_manifest_id"], "ArtifactManifest"))
    artifact = _pending(info, ids.encode("Artifact", manifest["artifact_id"] if manifest else 0))
    assert manifest  # _pending has refused an unknown one
    _take_base(info, artifact, input)
    return {"artifact_manifest": _with_address(info, manifests.announce(info.context.db, manifest, input["digest"]))}


@mutation.field("createArtifactFiles")
def create_files(_, info, input):
    """Returns one node for each requested file, in the same order: the SDK matches them by position."""
    refuse(input, "an upload", "cloud_region_id")
    announced: dict[str, list[dict]] = {}
    for file in input["artifact_files"]:
        announced.setdefault(file["artifact_id"], []).append(file)
    targets = {artifact_id: _target(info, artifact_id, files) for artifact_id, files in announced.items()}
    nodes = [_upload(info, file, *targets[file["artifact_id"]]) for file in input["artifact_files"]]
    return {"files": {"edges": [{"node": node} for node in nodes]}}


@mutation.field("completeMultipartUploadArtifact")
def complete_multipart(_, info, input):
    """The file is stored since its last part was acknowledged: see storage/multipart_uploads.py. A bucket is told."""
    artifact = _pending(info, input["artifact_id"])
    md5 = input["storage_path"].rpartition("/")[2]
    parts = sorted(input["completed_parts"], key=lambda part: part["part_number"])
    if parts and (bucket := info.context.store.bucket):
        etags = [part["hex_md5"] for part in parts]
        info.context.contents.outside(
            ("parts", md5), lambda: bucket.complete_parts(artifact["id"], md5, input["upload_id"], etags)
        )
        return {"digest": to_base64(md5)}
    entity_id = content_ownership.entity_of(info.context.db, artifact["id"])
    is_there = info.context.store.blobs.still_there(info.context.db, md5)
    if not is_there or not content_ownership.find(info.context.db, info.context.viewer, entity_id, [md5]):
        raise BadInput("Not all parts of this upload have arrived. Upload the file again.")
    return {"digest": to_base64(md5)}


def _target(info, artifact_id: str, files: list[dict]) -> tuple[dict, dict[str, dict]]:
    """The version that files are announced for, and which of their contents its entity has."""
    artifact = _pending(info, artifact_id)
    for file in files:
        if file.get("digest") not in (None, file["md5"]):
            raise BadInput(f"{file['name']}: only md5 digests are supported.")
    entity_id = content_ownership.entity_of(info.context.db, artifact["id"])
    db, viewer, md5s = info.context.db, info.context.viewer, [to_hex(file["md5"]) for file in files]
    held = content_ownership.find(db, viewer, entity_id, md5s)
    missing = [md5 for md5 in md5s if md5 not in held]
    if missing and content_ownership.use_claims(db, viewer, artifact["id"], missing):
        held = content_ownership.find(db, viewer, entity_id, md5s)
    return artifact, held


def _upload(info, file: dict, artifact: dict, holdings: dict[str, dict]) -> dict:
    db, md5 = info.context.db, to_hex(file["md5"])
    held = holdings.get(md5)
    if held and not info.context.contents.is_undamaged(md5, held["size"]):
        held = None  # so the client sends it again, which heals it
    address, headers = (None, []) if held else _place(info, artifact["id"], md5)
    return {
        "name": file["name"],
        "display_name": file["name"],  # by which older SDKs match nodes and files
        "storage_path": f"wandb_artifacts/{md5}",
        "upload_url": address,
        "upload_headers": headers,
        "upload_multipart_urls": None if held else _parts(info, artifact["id"], md5, file.get("upload_parts_input")),
        "artifact": (db.one(access.ARTIFACT, id=held["artifact_id"]) if held else None) or artifact,
    }


def _place(info, artifact_id: int, md5: str) -> tuple[str, list[str]]:
    """Where the client puts a content, and the headers that it has to send."""
    if bucket := info.context.store.bucket:
        headers = [f"Content-MD5:{to_base64(md5)}"]
        return bucket.upload_address(artifact_id, md5, UPLOAD_SECONDS), headers
    return info.context.address("PUT", f"/storage/artifacts/{artifact_id}/{md5}", UPLOAD_SECONDS), []


def take_in(info, artifact: dict) -> None:
    """Notes what clients have put into the bucket for a version. Into a folder it came through the server."""
    bucket, contents, id = info.context.store.bucket, info.context.contents, artifact["id"]
    if bucket is None:
        return
    arrived = contents.outside(("arrived", id), lambda: bucket.arrived(id))
    content_ownership.add_all(info.context.db, id, bucket.still_there_of(info.context.db, arrived))
    contents.afterwards(lambda: bucket.forget_arrived(id))


def complete_folder_of_dvc(info, artifact: dict) -> None:
    """Puts DVC's list of a folder beside its files in the bucket: with it `dvc pull` finds the folder there."""
    bucket = info.context.store.bucket
    listed = dvc_md5.folder_list(info.context.db, artifact) if bucket else None
    if bucket and listed:
        md5, files = listed
        info.context.contents.outside(("folder", md5), lambda: bucket.put_folder_of_dvc(md5, files))


def _parts(info, artifact_id: int, md5: str, announced: list[dict] | None) -> dict | None:
    """An address for each part that the client announced."""
    if not announced:
        return None
    if [part["part_number"] for part in announced] != list(range(1, len(announced) + 1)):
        raise BadInput("The parts of an upload are numbered from 1.")
    bucket = info.context.store.bucket
    if bucket:
        upload = info.context.contents.outside(
            ("begin", artifact_id, md5), lambda: bucket.begin_parts(artifact_id, md5)
        )
    else:
        upload = info.context.store.multipart_uploads.begin(ExpectedContent(artifact_id, md5, len(announced)))

    def address(part: dict) -> str:
        number, part_md5 = part["part_number"], part["hex_md5"]
        if bucket:
            return bucket.part_address(artifact_id, md5, upload, (number, part_md5), UPLOAD_SECONDS)
        return info.context.address("PUT", f"/storage/parts/{upload}/{number}/{part_md5}", UPLOAD_SECONDS)

    return {
        "upload_id": upload,
        "upload_url_parts": [{"part_number": part["part_number"], "upload_url": address(part)} for part in announced],
    }


def _with_address(info, manifest: dict) -> dict:
    path = f"/storage/manifests/{manifest['id']}"
    file = {
        "id": ids.encode("File", manifest["id"]),
        "upload_url": info.context.address("PUT", path, UPLOAD_SECONDS),
        "upload_headers": [],
    }
    return manifest | {"file": file}


def _take_base(info, artifact: dict, given: dict) -> None:
    """Lets an incremental version add to the version that its client names, not to the newest when it was announced."""
    if given.get("base_artifact_id"):
        base = access.artifact(
            info.context.db, info.context.viewer, ids.decode(given["base_artifact_id"], "Artifact"), Role.VIEWER
        )
        artifacts.set_base(info.context.db, artifact, base)


def _pending(info, text: str) -> dict:
    artifact = access.artifact(info.context.db, info.context.viewer, ids.decode(text, "Artifact"), Role.MEMBER)
    refusals.teller(info, artifact["run_id"], collections.by_id(info.context.db, artifact["collection_id"])["name"])
    if artifact["state"] != "PENDING":
        raise BadInput("The artifact is committed: its files can't be changed any more.")
    return artifact
