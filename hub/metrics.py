"""Counters for `GET /metrics`, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from routing.usage import Record

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Takes usage records. One registry per hub, so that two in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        target = ("group", "target")
        self._requests = Counter(
            "hub_chat_requests",
            "Answered chat requests.",
            (*target, "client_protocol", "operation", "status"),
            registry=self._registry,
        )
        self._tokens = Counter(
            "hub_chat_tokens", "Tokens as upstreams counted them.", (*target, "kind"), registry=self._registry
        )
        self._losses = Counter(
            "hub_chat_losses",
            "What could not be carried over, by its code.",
            (*target, "code"),
            registry=self._registry,
        )
        self._first_byte = Histogram(
            "hub_chat_first_byte_seconds",
            "From a request's arrival to the first byte of its answer.",
            target,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._duration = Histogram(
            "hub_chat_duration_seconds",
            "From a request's arrival to the end of its answer.",
            target,
            buckets=_SECONDS,
            registry=self._registry,
        )

    def take(self, record: Record) -> None:
        target = (record.group, f"{record.provider}/{record.model}" if record.provider else "")
        self._requests.labels(*target, record.client_protocol, record.operation, str(record.status)).inc()
        self._duration.labels(*target).observe(record.duration)
        if record.first_byte is not None:
            self._first_byte.labels(*target).observe(record.first_byte)
        for code in record.losses:
            self._losses.labels(*target, code).inc()
        if record.usage is not None:
            usage = record.usage
            self._tokens.labels(*target, "input").inc(usage.input_tokens)
            self._tokens.labels(*target, "output").inc(usage.output_tokens)
            self._tokens.labels(*target, "cached").inc(usage.cached_tokens or 0)
            self._tokens.labels(*target, "reasoning").inc(usage.reasoning_tokens or 0)

    def text(self) -> bytes:
        return generate_latest(self._registry)
