"""Metrics for Prometheus: requests, their latency, and how busy the pools are.

Labels are route templates and canonical names only, so that no client can add series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.observation.shared import Key, SharedNumbers, install

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds of the latency histogram, in seconds: from ten numbers to a deep network."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series


class Pool(Protocol):
    """A pool that computes, and its numbers, which are read at each scrape."""

    @property
    def running(self) -> int:
        """Jobs that are running."""

    @property
    def waiting(self) -> int:
        """Jobs admitted that are not running yet."""

    @property
    def rejected(self) -> int:
        """Requests refused since the start because the pool was full."""


class Metrics:
    """The metrics of one application, or of all server processes that share ``numbers``."""

    def __init__(self, numbers: SharedNumbers | None = None) -> None:
        self._numbers = numbers
        if numbers is not None:
            install(numbers)
        own = self._own = CollectorRegistry()
        self._requests = Counter(
            "activation_lab_requests", "Requests answered.", ["route", "function", "status"], registry=own
        )
        self._seconds = Histogram(
            "activation_lab_request_duration_seconds",
            "Time from a request's headers to the last byte of its answer.",
            ["route"],
            buckets=SECONDS,
            registry=own,
        )
        self._elements = Counter(
            "activation_lab_elements",
            "Array elements at which activations were computed.",
            ["function"],
            registry=own,
        )
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._computed: dict[str, Counter] = {}
        self._pools = _Pools(own)
        self._processes = _Processes(own)
        self._metrics = {
            "activation_lab_requests": self._requests,
            "activation_lab_request_duration_seconds": self._seconds,
            "activation_lab_elements": self._elements,
        }

    def count(self, route: str, function: str, status: int, seconds: float, elements: int) -> None:
        """Counts one request; ``function`` is a canonical name, and ``elements`` were computed."""
        key = (route, function, status)
        series = self._series.get(key)
        if series is None:
            counter = self._requests.labels(route, function, str(status))
            series = self._series[key] = (counter, self._seconds.labels(route))
        series[0].inc()
        series[1].observe(seconds)
        if elements:
            if function not in self._computed:
                self._computed[function] = self._elements.labels(function)
            self._computed[function].inc(elements)

    def watch(self, name: str, pool: Pool) -> None:
        """Reports on ``pool`` from now on."""
        self._pools.add(name, pool)

    def refresh(self) -> None:
        """Updates the metrics of the pools to their current values."""
        self._pools.read()

    def text(self) -> bytes:
        """Everything in Prometheus' text format, over all server processes."""
        self.refresh()
        if self._numbers is not None:
            self._processes.pids = self._numbers.read()
            self._add_series_of_others(self._numbers.sums)
        return generate_latest(self._own)

    def _add_series_of_others(self, keys: Iterable[Key]) -> None:
        """Creates the series that only other processes have counted so far."""
        for key in keys:
            metric = self._metrics.get(key.metric)
            if metric is not None and "le" not in key.label_names:
                metric.labels(*key.label_values)


class _Pools:
    """The metrics of the pools. Sums of gauges over server processes leave out those that have ended."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._running = Gauge(
            "activation_lab_jobs_running",
            "Jobs in work.",
            ["pool"],
            registry=registry,
        )
        self._waiting = Gauge(
            "activation_lab_jobs_waiting",
            "Jobs admitted that nothing works on yet.",
            ["pool"],
            registry=registry,
        )
        self._rejected = Counter(
            "activation_lab_jobs_rejected",
            "Requests turned away because there was no room.",
            ["pool"],
            registry=registry,
        )
        self._restarts = Counter(
            "activation_lab_worker_restarts", "Workers that died and were replaced.", registry=registry
        )
        self._pools: dict[str, Pool] = {}
        self._counted: dict[tuple[str, str], int] = {}

    def add(self, name: str, pool: Pool) -> None:
        self._pools[name] = pool
        self._counted.update({(name, "rejected"): 0, (name, "restarts"): 0})

    def read(self) -> None:
        for name, pool in self._pools.items():
            self._running.labels(name).set(pool.running)
            self._waiting.labels(name).set(pool.waiting)
            self._rejected.labels(name).inc(self._new((name, "rejected"), pool.rejected))
            self._restarts.inc(self._new((name, "restarts"), getattr(pool, "restarts", 0)))

    def _new(self, what: tuple[str, str], total: int) -> int:
        """How much ``total`` has grown since the last call."""
        before, self._counted[what] = self._counted[what], total
        return total - before


class _Processes(Collector):
    """prometheus-client's metrics of memory, processor time and files: of this process, or of several."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pids: list[int] = []
        self._own = ProcessCollector(registry=None)
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        if not self.pids:
            yield from self._own.collect()
            return
        families: dict[str, Metric] = {}
        for pid in self.pids:
            for each in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                family = families.setdefault(each.name, Metric(each.name, each.documentation, each.type))
                for sample in each.samples:
                    family.add_sample(sample.name, {"pid": str(pid)}, sample.value)
        yield from families.values()
