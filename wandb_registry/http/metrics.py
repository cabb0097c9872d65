"""Counts of a server's requests and of its store, for Prometheus. Only a server that was asked for them keeps any."""

import shutil
from collections.abc import Callable

from wandb_registry.errors import NotSupported
from wandb_registry.http.request_log import AnsweredRequest
from wandb_registry.store import Store

# What a request is for, by the first part of its address; all others are pages
KINDS = {
    "graphql": "graphql",
    "files": "stream",
    "storage": "file",
    "artifactsV2": "file",
    "static": "static",
    "live": "live",
    "sdk": "telemetry",
}
METHODS = {"GET", "HEAD", "POST", "PUT", "OPTIONS"}
BUCKETS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60)  # seconds


class Metrics:
    """The metrics of one server. Raises NotSupported where Prometheus's library is not installed."""

    def __init__(self, store: Store, in_flight: Callable[[], int]):
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
        except ImportError:
            raise NotSupported("--metrics without Prometheus's library (pip install 'dvc-wandb[team]')") from None

        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        of = ["kind", "method", "status"]
        name = "wandb_registry"
        self._requests = Counter(f"{name}_requests", "Requests that were answered", of, registry=self._registry)
        self._seconds = Histogram(
            f"{name}_request_seconds", "What they took", ["kind"], buckets=BUCKETS, registry=self._registry
        )
        for key, text, value in (
            ("requests_in_flight", "Requests under way", in_flight),
            ("transactions", "Changes of the records since the start", lambda: store.db.changes),
            ("free_bytes", "Room on the disk of the contents", lambda: shutil.disk_usage(store.blobs.folder).free),
        ):
            Gauge(f"{name}_{key}", text, registry=self._registry).set_function(value)

    def note(self, request: AnsweredRequest) -> None:
        kind = KINDS.get(request.path.lstrip("/").partition("/")[0], "page")
        self._requests.labels(kind, request.method if request.method in METHODS else "other", request.status).inc()
        self._seconds.labels(kind).observe(request.seconds)

    def text(self) -> bytes:
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
