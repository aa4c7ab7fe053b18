"""Metrics for Prometheus."""

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    multiprocess,
)

SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # set, the figures of all processes are added up there


class Metrics:
    """Figures of this process, or of all processes that share `PROMETHEUS_MULTIPROC_DIR`."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter("mlnet_requests", "Answered requests.", ["path", "status"], registry=registry)
        self.request_seconds = Histogram(
            "mlnet_request_seconds", "From a request to its answer.", ["path"], buckets=SECONDS, registry=registry
        )
        self.work_seconds = Histogram(
            "mlnet_work_seconds", "In a thread, without waiting.", ["path"], buckets=SECONDS, registry=registry
        )
        self.places = Gauge(
            "mlnet_queue_places",
            "Requests waiting or worked on.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        if SHARED not in os.environ:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        if SHARED not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)

    def close(self) -> None:
        """Takes this process out of the sum of those that live."""
        if SHARED in os.environ:
            multiprocess.mark_process_dead(os.getpid())
