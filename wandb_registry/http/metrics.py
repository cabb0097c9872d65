"""Counts of a server's requests and of its store, for Prometheus. Only a server that was asked for them keeps any.

Of several workers each keeps its own in files that all can read, so whichever is asked tells the sum.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

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
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # the library's own name for the folder of several processes' counts
BUCKETS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60)  # seconds


class Metrics:
    """The metrics of one server. Raises NotSupported where Prometheus's library is not installed."""

    def __init__(self, store: Store, in_flight: Callable[[], int]):
        _check_installed()
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        own = CollectorRegistry()
        of, name = ["kind", "method", "status"], "wandb_registry"
        self._store, self._in_flight = store, in_flight
        self._requests = Counter(f"{name}_requests", "Requests that were answered", of, registry=own)
        self._seconds = Histogram(f"{name}_request_seconds", "What they took", ["kind"], buckets=BUCKETS, registry=own)
        self._under_way = Gauge(
            f"{name}_requests_in_flight", "Requests under way", multiprocess_mode="livesum", registry=own
        )
        if SHARED in os.environ:
            self._shown = CollectorRegistry()
            self._shown.register(_Counts(Path(os.environ[SHARED])))
            self._shown.register(_Workers())
        else:
            self._shown = own
            ProcessCollector(registry=own)
        self._shown.register(self)

    def note(self, request: AnsweredRequest) -> None:
        kind = KINDS.get(request.path.lstrip("/").partition("/")[0], "page")
        self._requests.labels(kind, request.method if request.method in METHODS else "other", request.status).inc()
        self._seconds.labels(kind).observe(request.seconds)
        self._under_way.set(self._in_flight() - 1)  # it has ended

    def text(self) -> bytes:
        from prometheus_client import generate_latest

        self._under_way.set(self._in_flight())
        return generate_latest(self._shown)

    def collect(self) -> Iterator[Any]:
        """What is the same for all workers, asked when somebody wants to know it."""
        from prometheus_client.core import GaugeMetricFamily

        free = shutil.disk_usage(self._store.blobs.folder).free
        changes = self._store.db.changes
        yield GaugeMetricFamily("wandb_registry_transactions", "Changes of the records since the start", changes)
        yield GaugeMetricFamily("wandb_registry_free_bytes", "Room on the disk of the contents", free)


class _Counts:
    """What all workers of this server have counted, also those that have ended."""

    def __init__(self, folder: Path):
        self._folder = folder

    def collect(self) -> Iterator[Any]:
        from prometheus_client.multiprocess import MultiProcessCollector

        yield from MultiProcessCollector.merge(list(self._begun()))

    def _begun(self) -> Iterator[str]:
        """The files that have a size. One that a worker has just made has none, and never will if it was killed then:
        the library can't read it.
        """
        for file in self._folder.glob("*.db"):
            with suppress(FileNotFoundError):  # its worker has just ended
                if file.stat().st_size:
                    yield str(file)


class _Workers:
    """The processes of this server: the one that starts workers, and those that live now."""

    def collect(self) -> Iterator[Any]:
        import psutil
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        first = psutil.Process(os.getppid())
        workers = first.children()
        yield GaugeMetricFamily("wandb_registry_workers", "Processes that accept requests", len(workers))
        memory = GaugeMetricFamily("wandb_registry_resident_memory_bytes", "Memory", labels=["process"])
        seconds = CounterMetricFamily("wandb_registry_cpu_seconds", "Time of processors", labels=["process"])
        for process in (first, *workers):
            with suppress(psutil.Error):  # it has just ended
                memory.add_metric([str(process.pid)], process.memory_info().rss)
                seconds.add_metric([str(process.pid)], sum(process.cpu_times()[:2]))
        yield from (memory, seconds)


def begin_shared(folder: Path) -> Callable[[int], None]:
    """Lets the workers that this process starts count together. Answers what is called with the id of one that ended.

    Raises NotSupported where Prometheus's library is not installed.
    """
    place = folder / "metrics"
    shutil.rmtree(place, ignore_errors=True)  # of workers that were there before
    place.mkdir()
    os.environ[SHARED] = str(place)  # the library looks at it once, when it is loaded
    _check_installed()
    from prometheus_client.multiprocess import mark_process_dead

    return mark_process_dead


def _check_installed() -> None:
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        raise NotSupported("--metrics without Prometheus's library (pip install 'dvc-wandb[team]')") from None
