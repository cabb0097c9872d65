"""Many small contents, sent ahead in a few requests. The SDK would send each in one of its own.

Only the embedded registry's kind of server takes them, by fields of its own. Their version then finds them there.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path

from dvc_wandb.client.http_client import RegistryClient
from dvc_wandb.errors import RegistryUnavailableError

LARGEST = 2**16  # bytes of a content for which a request of its own costs more than the content
WORTHWHILE = 100  # contents, below which the SDK is as quick
MOST_ASKED, MOST_SENT = 10_000, 1_000  # contents of one request
LARGEST_BATCH = 2**22  # bytes of the contents of one request

TO_SEND = "query ToSend($entity: String!, $md5s: [String!]!) { contentsToSend(entityName: $entity, md5s: $md5s) }"
SEND = "mutation Send($input: SendContentsInput!) { sendContents(input: $input) { success } }"


def send(url: str, entity: str, files: dict[str, Path]) -> None:
    """Send those of the small files, given by their md5s in hex, that the `entity` lacks.

    Whatever isn't sent, the SDK sends: a server may not take them, or be away.
    """
    with contextlib.suppress(RegistryUnavailableError, OSError):
        client, md5s = RegistryClient(url), list(files)
        for start in range(0, len(files), MOST_ASKED):
            asked = {"entity": entity, "md5s": md5s[start : start + MOST_ASKED]}
            wanted = client.graphql(TO_SEND, asked)["contentsToSend"]
            if wanted is None:  # it has a bucket, to which the SDK sends them
                return
            for contents in _batches(files[md5] for md5 in wanted):
                client.graphql(SEND, {"input": {"entityName": entity, "contents": contents}})


def _batches(files: Iterator[Path]) -> Iterator[list[str]]:
    """The contents of files in base64, a few MB at a time."""
    batch, size = [], 0
    for file in files:
        content = file.read_bytes()
        if size + len(content) > LARGEST_BATCH or len(batch) == MOST_SENT:
            yield batch
            batch, size = [], 0
        batch.append(base64.b64encode(content).decode())
        size += len(content)
    if batch:
        yield batch
