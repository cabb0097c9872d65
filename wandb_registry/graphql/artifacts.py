"""Versions of artifacts: their fields, their files, and what changes them."""

import mimetypes

from wandb_registry.errors import NotSupported
from wandb_registry.graphql import refusals, uploads
from wandb_registry.graphql.engine import dataloader, paging
from wandb_registry.graphql.engine.binding import Fields
from wandb_registry.graphql.engine.limits import refuse
from wandb_registry.model import access, ids
from wandb_registry.model.access import Role
from wandb_registry.model.artifacts import artifacts, collections, lineage, manifests, memberships, tags
from wandb_registry.storage.blobs import to_base64

query = Fields("Query")
artifact = Fields("Artifact")
manifest = Fields("ArtifactManifest")
membership = Fields("ArtifactCollectionMembership")
alias = Fields("ArtifactAlias")
tag = Fields("Tag")
file = Fields("File")
mutation = Fields("Mutation")
FIELDS = (query, artifact, manifest, membership, alias, tag, file, mutation)

DOWNLOAD_SECONDS = 24 * 3600


@query.field("artifact")
def resolve_artifact(_, info, id):
    return access.find_artifact(info.context.db, info.context.viewer, ids.decode(id, "Artifact"))


@artifact.field("id")
def resolve_id(row, info):
    return ids.encode("Artifact", row["id"])


@artifact.field("digestAlgorithm")
def resolve_digest_algorithm(row, info):
    return "MANIFEST_MD5"


@artifact.field("commitHash")
def resolve_commit_hash(row, info):
    return row["digest"] if row["state"] == "COMMITTED" else None


@artifact.field("ttlDurationSeconds")
def resolve_ttl(row, info):
    return row["ttl"]


@artifact.field("ttlIsInherited")
def resolve_ttl_is_inherited(row, info):
    return row["ttl"] == -1


@artifact.field("artifactType")
def resolve_type(row, info):
    return info.context.once(_type_of_collection, row["collection_id"])


def _type_of_collection(db, collection_id):
    return collections.type_of(db, collections.by_id(db, collection_id))


@artifact.field("artifactSequence")
def resolve_sequence(row, info):
    return info.context.once(collections.by_id, row["collection_id"])


@artifact.field("tags")
def resolve_tags(row, info):
    return dataloader.load(info.context, row, _tags) or []


def _tags(context, ids):
    return tags.of_artifacts(context.db, ids)


@tag.field("id")
def resolve_tag_id(row, info):
    return ids.encode("Tag", row["id"])


# ---- memberships and aliases ----


@artifact.field("artifactMemberships")
def resolve_memberships(row, info, first=None, after=None):
    return paging.of_list(dataloader.load(info.context, row, _memberships) or [], first, after)


@artifact.field("aliases")
def resolve_aliases(row, info):
    return dataloader.load(info.context, row, _aliases) or []


def _memberships(context, ids):
    """The memberships of each version, as far as the viewer may see them."""
    by_artifact = {}
    for row in access.visible(context.db, context.viewer, memberships.of_artifacts(context.db, ids)):
        by_artifact.setdefault(row["artifact_id"], []).append(row)
    return by_artifact


def _aliases(context, ids):
    """The aliases of each version in all its collections."""
    by_artifact = _memberships(context, ids)
    aliases = memberships.aliases_of(context.db, [row["id"] for rows in by_artifact.values() for row in rows])
    return {
        number: [alias for row in rows for alias in [_number_alias(row), *aliases.get(row["id"], [])]]
        for number, rows in by_artifact.items()
    }


def _number_alias(membership: dict) -> dict:
    """The version's number in the form of an alias: the SDK's listing of links gets the number in no other way."""
    number = memberships.version(membership)
    return {"id": -membership["id"], "name": number, "collection_id": membership["collection_id"]}


@alias.field("id")
def resolve_alias_id(row, info):
    return ids.encode("ArtifactAlias", row["id"])


@alias.field("alias")
def resolve_alias_name(row, info):
    return row["name"]


@membership.field("id")
def resolve_membership_id(row, info):
    return ids.encode("ArtifactCollectionMembership", row["id"])


@membership.field("aliases")
def resolve_membership_aliases(row, info):
    return memberships.aliases(info.context.db, row["id"])


@membership.field("artifact")
def resolve_membership_artifact(row, info):
    return artifacts.by_id(info.context.db, row["artifact_id"])


@alias.field("artifactCollection")
@membership.field("artifactCollection")
def resolve_collection(row, info):
    return info.context.once(collections.by_id, row["collection_id"])


# ---- files ----


@membership.field("files")
def resolve_files(row, info, names=None, first=None, after=None):
    db = info.context.db
    return paging.connection(
        first,
        after,
        lambda limit, offset: manifests.entry_page(db, row["artifact_id"], names, limit, offset),
        lambda: manifests.count(db, row["artifact_id"], names),
    )


@artifact.field("filesByManifestEntries")
def resolve_files_by_entries(
    row, info, storage_layout, manifest_version, entries=None, storage_region=None, first=None, after=None
):
    names = [entry["name"] for entry in entries or []]
    db = info.context.db
    return paging.connection(
        first, after, lambda limit, offset: manifests.entry_page(db, row["id"], names, limit, offset)
    )


@artifact.field("currentManifest")
def resolve_manifest(row, info):
    deleted = row["state"] == "DELETED"  # its files are kept while other versions refer to them
    if row["state"] == "PENDING" or (deleted and not manifests.count(info.context.db, row["id"], None)):
        return None
    path = f"/storage/artifacts/{row['id']}/wandb_manifest.json"
    address = info.context.address("GET", path, DOWNLOAD_SECONDS)
    return {"id": row["id"], "file": {"id": ids.encode("File", row["id"]), "direct_url": address}}


@manifest.field("id")
def resolve_manifest_id(row, info):
    return ids.encode("ArtifactManifest", row["id"])


# The type File is an entry of an artifact, which has a path, or a file of a run, which has a name.


@file.field("id")
def resolve_file_id(row, info):
    if "path" in row:
        return ids.encode("File", row["artifact_id"])
    return ids.encode("RunFile", row["id"])


@file.field("name")
@file.field("displayName")
def resolve_file_name(row, info):
    return row["path"] if "path" in row else row["name"]


@file.field("url")
@file.field("directUrl")
def resolve_file_address(row, info, upload=None):
    if row["md5"] is None:
        return row["ref"]
    if upload:
        return info.context.address("PUT", f"/storage/runs/{row['run_id']}/{row['name']}", DOWNLOAD_SECONDS)
    name = resolve_file_name(row, info).rpartition("/")[2]
    return info.context.address("GET", f"/storage/wandb_artifacts/{row['md5']}/{name}", DOWNLOAD_SECONDS)


@file.field("storagePath")
def resolve_file_storage_path(row, info):
    return f"wandb_artifacts/{row['md5']}" if row["md5"] else None


@file.field("sizeBytes")
def resolve_file_size(row, info):
    return row["size"]


@file.field("updatedAt")
def resolve_file_time(row, info):
    """A file of a version is as old as the version."""
    return artifacts.by_id(info.context.db, row["artifact_id"])["created_at"] if "path" in row else row["updated_at"]


@file.field("mimetype")
def resolve_file_mimetype(row, info):
    return mimetypes.guess_type(resolve_file_name(row, info))[0]


@file.field("digest")
@file.field("md5")
def resolve_file_digest(row, info):
    return row["digest"] if "path" in row else to_base64(row["md5"])


# ---- lineage ----


@artifact.field("createdBy")
def resolve_created_by(row, info):
    context = info.context
    maker = lineage.maker(context.db, row)
    return {"__typename": "Run", **maker} if maker and access.visible(context.db, context.viewer, [maker]) else None


@artifact.field("usedBy")
def resolve_used_by(row, info, first=None, after=None):
    context = info.context
    return paging.of_list(
        access.visible(context.db, context.viewer, lineage.users(context.db, row["id"])), first, after
    )


# ---- changes ----


@mutation.field("createArtifact")
def create_artifact(_, info, input):
    context = info.context
    refuse(input, "an artifact", "labels")
    if input.get("digest_algorithm") == "MANIFEST_XXH128":
        raise NotSupported("The digest XXH128 of an artifact")
    _refuse_attributes(input.get("tags"))
    tell = refusals.teller(info, refusals.run_of(info, input), input.get("artifact_collection_name") or "")
    return {"artifact": artifacts.create(context.db, context.viewer, input, context.contents.is_undamaged, tell)}


@mutation.field("commitArtifact")
def commit_artifact(_, info, input):
    context = info.context
    pending = _writable(info, input["artifact_id"])
    tell = refusals.teller(info, pending["run_id"], collections.by_id(context.db, pending["collection_id"])["name"])
    if pending["state"] == "PENDING":
        uploads.take_in(info, pending)
    committed = artifacts.commit(context.db, context.viewer, pending, context.contents.is_there, tell)
    if pending["state"] == "PENDING":
        uploads.complete_folder_of_dvc(info, committed)
    return {"artifact": committed}


@mutation.field("updateArtifact")
def update_artifact(_, info, input):
    refuse(input, "an artifact", "labels")
    _refuse_attributes(input.get("tags_to_add"))
    context = info.context
    version = _writable(info, input["artifact_id"])
    if input.get("aliases") is not None:
        artifacts.set_aliases(context.db, context.viewer, version, input["aliases"])
    return {"artifact": artifacts.update(context.db, context.viewer, version, input)}


@mutation.field("deleteArtifact")
def delete_artifact(_, info, input):
    version, with_aliases = _writable(info, input["artifact_id"]), bool(input.get("delete_aliases"))
    return {"artifact": artifacts.delete(info.context.db, info.context.viewer, version, with_aliases)}


@mutation.field("useArtifact")
def use_artifact(_, info, input):
    number = ids.decode(input["artifact_id"], "Artifact")
    return {"artifact": artifacts.used_by_run(info.context.db, info.context.viewer, input, number)}


def _refuse_attributes(given: list[dict] | None) -> None:
    for tag in given or []:
        refuse(tag, "a tag", "tag_category_name", "attributes")


def _writable(info, text: str):
    return access.artifact(info.context.db, info.context.viewer, ids.decode(text, "Artifact"), Role.MEMBER)
