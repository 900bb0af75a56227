"""What `/metrics` says of calls and of writing them down."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from hub.metrics import Metrics
from hub.usage.writer import WriterStatus
from routing.gate import FixedLimits, Gate
from tests.hub.usage.samples import chat, tool


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_cost_and_tool_calls() -> None:
    metrics = Metrics()
    for cost in (0.5, 0.25, None):
        metrics.take(chat(cost=cost))
    metrics.take_tool(tool())
    metrics.take_tool(tool(error_kind="tool"))
    found = samples(metrics)
    assert found["hub_chat_cost_dollars_total", (("group", "g"), ("target", "up/m"))] == 0.75
    read = (("server", "files"), ("tool", "read"))
    assert found["hub_tool_calls_total", (("error", ""), *read)] == 1
    assert found["hub_tool_calls_total", (("error", "tool"), *read)] == 1
    assert found["hub_tool_duration_seconds_sum", read] == 1.0


def test_writing() -> None:
    now = WriterStatus("recording", None, 3, 10, 0)
    metrics = Metrics(lambda: now)
    names = ("hub_usage_queued", "hub_usage_failing", "hub_usage_written_total", "hub_usage_dropped_total")
    assert [samples(metrics)[name, ()] for name in names] == [3, 0, 10, 0]
    now = WriterStatus("failing", "the disk is full", 4, 10, 7)
    assert [samples(metrics)[name, ()] for name in names] == [4, 1, 10, 7]


def test_places() -> None:
    gate = Gate(lambda: FixedLimits(concurrent_requests=2))
    metrics = Metrics(gate=gate)
    assert gate.enter()
    gate.hold(100)
    gate.turned_away = 3
    names = ("hub_chat_in_flight", "hub_chat_waiting", "hub_chat_body_bytes", "hub_chat_turned_away_total")
    assert [samples(metrics)[name, ()] for name in names] == [1, 0, 100, 3]
