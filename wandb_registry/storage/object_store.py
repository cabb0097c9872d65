"""One prefix of a bucket, asked in the few words that the registry needs of S3. boto3 speaks to the store.

Every request ends within a minute, and with a sentence where the store doesn't do it. Keys are below the prefix.
"""

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from wandb_registry.errors import BadInput, BucketAway, BucketFull, BucketRefuses, RegistryError

try:
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
except ImportError:
    raise RegistryError(
        "A registry with its contents in a bucket needs boto3: pip install 'dvc-wandb[team]'."
    ) from None

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 10, 2  # a store that hangs costs 20 seconds, or 30 that can't be reached
PATIENT_SECONDS = 50  # for what a store may take long to do: to copy or to put together a large object
LARGE = 64 * 2**20
AWAY_SECONDS = 3.0  # for which a store that didn't answer isn't asked again, so that nobody waits behind others
THREADS = 16
LARGEST_COPY = 5 * 2**30  # bytes that S3 copies, or takes, in one request
CHUNK = 2**20
MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchUpload", "NoSuchBucket"}
FULL = {"XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "507"}
NO_KEYS = "there are no keys for it; set AWS_ACCESS_KEY_ID and its secret"
FIRST_WAS_ANOTHER = {"PreconditionFailed", "ConditionalRequestConflict"}
WRONG_BYTES = {"BadDigest", "InvalidDigest", "InvalidPart", "InvalidPartOrder", "EntityTooSmall"}


@dataclass(frozen=True)
class StoredObject:
    """An object as the store describes it. The ETag is the md5 of what one request brought, and no md5 otherwise."""

    key: str
    size: int
    etag: str
    modified: datetime


class ObjectStore:
    """The objects below `s3://BUCKET/PREFIX`. Any number of threads may use it at once."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None):
        self.bucket, self.prefix = bucket, f"{prefix}/" if prefix else ""
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="bucket")
        config = Config(
            signature_version="s3v4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=2 * THREADS,
            s3={"addressing_style": "path"} if endpoint else {},
            # stores that aren't Amazon's don't know the newer checksums; Content-MD5 is checked by all
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        patient = config.merge(Config(read_timeout=PATIENT_SECONDS, retries={"total_max_attempts": 1}))
        self._away: tuple[float, str] = (0.0, "")  # until when it isn't asked, and why
        with self._errors():
            self._client: Any = boto3.client("s3", endpoint_url=endpoint, config=config)
            self._patient: Any = boto3.client("s3", endpoint_url=endpoint, config=patient)

    def check(self) -> None:
        """Raises the sentence that says why the bucket can't be used, if it can't."""
        try:
            with self._errors():
                self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)
        except KeyError:
            raise BucketRefuses(self.name, "there is no such bucket") from None

    def head(self, key: str) -> StoredObject | None:
        try:
            with self._errors():
                found = self._client.head_object(Bucket=self.bucket, Key=self.prefix + key)
        except KeyError:
            return None
        return StoredObject(key, found["ContentLength"], found["ETag"].strip('"'), found["LastModified"])

    def below(self, folder: str, after: str = "") -> Iterator[StoredObject]:
        """The objects whose keys begin with `folder`, in the order of their keys."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.prefix + folder, StartAfter=self.prefix + after if after else ""
        )
        with self._errors():
            for page in pages:
                for one in page.get("Contents", []):
                    key = one["Key"].removeprefix(self.prefix)
                    yield StoredObject(key, one["Size"], one["ETag"].strip('"'), one["LastModified"])

    def put(self, key: str, body: bytes, md5: str) -> str:
        """Stores a small object, whose md5 the store checks, and returns its ETag."""
        with self._errors():
            put = self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=body, ContentMD5=_b64(md5))
        return put["ETag"].strip('"')

    def put_new(self, key: str, body: bytes) -> None:
        """Stores a small object unless one is there. A store that can't make that a condition takes it in any case."""
        place = {"Bucket": self.bucket, "Key": self.prefix + key, "Body": body}
        with self._errors():
            try:
                self._client.put_object(**place, IfNoneMatch="*")
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code")
                if code == "NotImplemented":
                    self._client.put_object(**place)
                elif code not in FIRST_WAS_ANOTHER:
                    raise

    def put_file(self, key: str, path: Path, md5: str) -> None:
        """Stores a file: in one request with its md5, or in parts where it is too large for that."""
        size = path.stat().st_size
        with self._errors():
            if size > LARGEST_COPY:
                self._client.upload_file(str(path), self.bucket, self.prefix + key)
                return
            client = self._patient if size > LARGE else self._client
            with path.open("rb") as body:
                client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=body, ContentMD5=_b64(md5))

    @contextmanager
    def open(self, key: str) -> Iterator[Iterator[bytes]]:
        """The chunks of an object. Raises FileNotFoundError if it isn't there."""
        try:
            with self._errors():
                body = self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"]
        except KeyError:
            raise FileNotFoundError(f"{self.name}/{key}") from None
        with closing(body), self._errors():
            yield body.iter_chunks(CHUNK)

    def copy(self, source: StoredObject, key: str) -> str:
        """Copies an object within the store, if it is still the same, and returns the copy's ETag."""
        place = {"Bucket": self.bucket, "Key": self.prefix + source.key}
        with self._errors():
            if source.size > LARGEST_COPY:
                transfer = TransferConfig(multipart_threshold=LARGEST_COPY, multipart_chunksize=2**30)
                same = {"CopySourceIfMatch": source.etag}
                self._patient.copy(place, self.bucket, self.prefix + key, ExtraArgs=same, Config=transfer)
                copied = self._client.head_object(Bucket=self.bucket, Key=self.prefix + key)
            else:
                client = self._patient if source.size > LARGE else self._client
                copied = client.copy_object(
                    Bucket=self.bucket, Key=self.prefix + key, CopySource=place, CopySourceIfMatch=source.etag
                )["CopyObjectResult"]
        return copied["ETag"].strip('"')

    def delete(self, key: str) -> None:
        with self._errors():
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    def each(self, ask: Callable[[Any], Any], about: list[Any]) -> list[Any]:
        """Asks about several things at once, and answers in their order."""
        return list(self._pool.map(ask, about))

    # ---- uploads in parts ----

    def begin_parts(self, key: str) -> str:
        with self._errors():
            return self._client.create_multipart_upload(Bucket=self.bucket, Key=self.prefix + key)["UploadId"]

    def complete_parts(self, key: str, upload: str, etags: list[str]) -> None:
        """Raises BadInput where a part is missing or another than its ETag says."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        try:
            with self._errors():
                self._patient.complete_multipart_upload(
                    Bucket=self.bucket, Key=self.prefix + key, UploadId=upload, MultipartUpload={"Parts": parts}
                )
        except KeyError:
            raise BadInput("Not all parts of this upload have arrived. Upload the file again.") from None

    def stale_parts(self, folder: str, before: datetime) -> list[tuple[str, str]]:
        """(key, upload) of uploads in parts that began before that and were never completed."""
        with self._errors():
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self.prefix + folder
            )
            found = [one for page in pages for one in page.get("Uploads", [])]
        return [
            (one["Key"].removeprefix(self.prefix), one["UploadId"])
            for one in found
            if one["Initiated"] < before and one["Key"].startswith(self.prefix + folder)
        ]

    def abort_parts(self, key: str, upload: str) -> None:
        with self._errors():
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=self.prefix + key, UploadId=upload)

    # ---- addresses that carry their own permission ----

    def address_to_put(self, key: str, md5: str, seconds: int) -> str:
        """Where a client puts an object: the store takes those bytes alone, with the header Content-MD5."""
        return self._presigned("put_object", seconds, Key=self.prefix + key, ContentMD5=_b64(md5))

    def address_of_part(self, key: str, upload: str, number: int, md5: str, seconds: int) -> str:
        more = {"UploadId": upload, "PartNumber": number, "ContentMD5": _b64(md5)}
        return self._presigned("upload_part", seconds, Key=self.prefix + key, **more)

    def address_to_get(self, key: str, seconds: int, method: str = "get_object", **headers: str) -> str:
        """Where a client reads an object; `headers` are those of the answer, in boto3's words."""
        return self._presigned(method, seconds, Key=self.prefix + key, **headers)

    def _presigned(self, method: str, seconds: int, **parameters: Any) -> str:
        given = {"Bucket": self.bucket, **parameters}  # nothing is asked for that, so it works while the store is away
        try:
            return self._client.generate_presigned_url(method, Params=given, ExpiresIn=seconds)
        except NoCredentialsError:
            raise BucketRefuses(self.name, NO_KEYS) from None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what boto3 raises into a sentence; KeyError for what isn't there."""
        until, reason = self._away
        if time.monotonic() < until:
            raise BucketAway(self.name, reason)
        try:
            yield
        except NoCredentialsError:
            raise BucketRefuses(self.name, NO_KEYS) from None
        except ClientError as error:
            said = error.response.get("Error", {})
            code, status = str(said.get("Code")), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in MISSING:
                raise KeyError(code) from None
            if code in FULL or status == 507:
                raise BucketFull(self.name) from None
            if code in WRONG_BYTES:
                raise BadInput(f"The bucket has other bytes than announced ({code}). Upload the file again.") from None
            if status >= 500 or status == 429 or code == "SlowDown":
                raise BucketAway(self.name, f"it answers {status} {code}") from None
            raise BucketRefuses(self.name, f"it answers {said.get('Message') or code}") from None
        except (BotoCoreError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            reason = " ".join(str(error).split()).rstrip(".")
            self._away = time.monotonic() + AWAY_SECONDS, reason
            raise BucketAway(self.name, reason) from None


def _b64(md5: str) -> str:
    return base64.b64encode(bytes.fromhex(md5)).decode()
