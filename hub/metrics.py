"""Counters for `GET /metrics`, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.usage.records import ToolRecord
from hub.usage.writer import WriterStatus
from routing.gate import Gate
from routing.usage import Record

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_TOKENS = ("input", "output", "cached", "reasoning")


@dataclass(slots=True)
class _OfTarget:
    """What is counted for each request of a target: finding it by its labels costs more than counting."""

    duration: Histogram
    first_byte: Histogram
    requests: dict[tuple[str, str, int], Counter] = field(default_factory=dict)
    """By protocol, operation and status."""
    tokens: list[Counter] = field(default_factory=list)
    """In the order of `_TOKENS`; empty: none yet."""


class Metrics:
    """Takes usage records. One registry per hub, so that two in one process do not mix."""

    def __init__(self, usage: Callable[[], WriterStatus] | None = None, gate: Gate | None = None) -> None:
        """`usage` tells how writing calls down goes, `gate` how many chats there are."""
        self._registry = CollectorRegistry()
        if gate is not None:
            self._registry.register(_Places(gate))
        if usage is not None:
            self._registry.register(_Writing(usage))
        target = ("group", "target")
        self._of_targets: dict[tuple[str, str], _OfTarget] = {}
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

        self._cost = Counter(
            "hub_chat_cost_dollars",
            "US dollars, as far as prices are known.",
            target,
            registry=self._registry,
        )
        tool = ("server", "tool")
        self._tool_calls = Counter(
            "hub_tool_calls", "Answered tool calls.", (*tool, "error"), registry=self._registry
        )
        self._tool_duration = Histogram(
            "hub_tool_duration_seconds",
            "From a tool call's arrival to its answer.",
            tool,
            buckets=_SECONDS,
            registry=self._registry,
        )

    def take_tool(self, record: ToolRecord) -> None:
        tool = (record.server, record.tool)
        self._tool_calls.labels(*tool, record.error_kind or "").inc()
        self._tool_duration.labels(*tool).observe(record.duration)

    def take(self, record: Record) -> None:
        target = (record.group, f"{record.provider}/{record.model}" if record.provider else "")
        of_target = self._of_targets.get(target)
        if of_target is None:
            of_target = self._of_targets[target] = _OfTarget(
                self._duration.labels(*target), self._first_byte.labels(*target)
            )
        answered = (record.client_protocol, record.operation, record.status)
        requests = of_target.requests.get(answered)
        if requests is None:
            labels = (record.client_protocol, record.operation, str(record.status))
            requests = of_target.requests[answered] = self._requests.labels(*target, *labels)
        requests.inc()
        of_target.duration.observe(record.duration)
        if record.first_byte is not None:
            of_target.first_byte.observe(record.first_byte)
        if record.cost is not None:
            self._cost.labels(*target).inc(record.cost)
        for code in record.losses:
            self._losses.labels(*target, code).inc()
        if record.usage is not None:
            tokens = of_target.tokens
            if not tokens:
                of_target.tokens = tokens = [self._tokens.labels(*target, kind) for kind in _TOKENS]
            usage = record.usage
            counts = (
                usage.input_tokens,
                usage.output_tokens,
                usage.cached_tokens or 0,
                usage.reasoning_tokens or 0,
            )
            for counter, count in zip(tokens, counts, strict=True):
                counter.inc(count)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Places(Collector):
    """How many chats are under way, read when somebody asks."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def collect(self) -> Iterator[Metric]:
        gate = self._gate
        yield GaugeMetricFamily("hub_chat_in_flight", "Chat requests under way.", gate.inside)
        yield GaugeMetricFamily("hub_chat_waiting", "Chat requests that wait for a place.", gate.waiting)
        yield GaugeMetricFamily("hub_chat_body_bytes", "Bytes of request bodies held.", gate.body_bytes)
        yield CounterMetricFamily(
            "hub_chat_turned_away", "Chat requests for which there was no place.", gate.turned_away
        )


class _Writing(Collector):
    """How writing calls down goes, read when somebody asks."""

    def __init__(self, status: Callable[[], WriterStatus]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        now = self._status()
        yield GaugeMetricFamily("hub_usage_queued", "Calls that are not written down yet.", now.queued)
        failing = float(now.state == "failing")
        yield GaugeMetricFamily("hub_usage_failing", "1: calls cannot be written down.", failing)
        yield CounterMetricFamily("hub_usage_written", "Calls that were written down.", now.written)
        yield CounterMetricFamily("hub_usage_dropped", "Calls that were left out.", now.dropped)
