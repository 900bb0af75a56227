"""Chat through the hub, against the floor: bare Starlette and aiohttp's client."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import hammer
from bench.processes import Server, free_port

_MESSAGES = [{"role": "user", "content": "Say hello."}]
_LAST_WORD = b"word199 "


def _tools(number: int) -> list[dict[str, object]]:
    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "A path. " * 40}}}
    return [
        {
            "type": "function",
            "function": {"name": f"tool_{index}", "description": "What it does. " * 90, "parameters": schema},
        }
        for index in range(number)
    ]


def _anthropic_tools(number: int) -> list[dict[str, object]]:
    named = [tool["function"] for tool in _tools(number)]
    return [
        {"name": one["name"], "description": one["description"], "input_schema": one["parameters"]}
        for one in named
        if isinstance(one, dict)
    ]


def _long() -> list[dict[str, object]]:
    turns: list[dict[str, object]] = []
    for turn in range(30):
        turns.append({"role": "user", "content": f"Question {turn}. " + "Some source code follows. " * 60})
        turns.append({"role": "assistant", "content": f"Answer {turn}. " + "It does this and that. " * 60})
    return [*turns, *_MESSAGES]


@dataclass(frozen=True)
class Scenario:
    name: str
    path: str
    body: bytes
    connections: int
    expected: bytes


def _body(**more: object) -> bytes:
    return json.dumps({"model": "bench", **more}, separators=(",", ":")).encode()


def scenarios() -> list[Scenario]:
    chat = "/bench/v1/chat/completions"
    small, stream = _body(messages=_MESSAGES), _body(messages=_MESSAGES, stream=True)
    agent = _body(messages=_long(), tools=_tools(40))
    messages = "/bench/v1/messages"
    agent_a = _body(messages=_long(), tools=_anthropic_tools(40), max_tokens=100)
    anthropic = _body(messages=_MESSAGES, max_tokens=100)
    anthropic_stream = _body(messages=_MESSAGES, max_tokens=100, stream=True)
    hello, last = b"Hello there", _LAST_WORD
    kilobytes = len(agent) // 1024
    return [
        Scenario("passthrough, small, 1 connection", chat, small, 1, hello),
        Scenario("passthrough, small, 32 connections", chat, small, 32, hello),
        Scenario(f"passthrough, {kilobytes} KB, 32 connections", chat, agent, 32, hello),
        Scenario("passthrough, 200-chunk stream, 32 connections", chat, stream, 32, last),
        Scenario("converted from Anthropic, small, 32 connections", messages, anthropic, 32, hello),
        Scenario(f"converted from Anthropic, {kilobytes} KB, 32 connections", messages, agent_a, 32, hello),
        Scenario(
            "converted from Anthropic, 200-chunk stream, 32 connections", messages, anthropic_stream, 32, last
        ),
    ]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Answers per second and CPU microseconds for each answer; medians over the rounds."""

    name: str
    hub: float
    floor: float
    ratio: float
    hub_cpu: float
    floor_cpu: float


@contextmanager
def _servers() -> Iterator[tuple[Server, Server]]:
    with ExitStack() as stack, TemporaryDirectory() as folder:
        upstream = free_port()
        url = f"http://127.0.0.1:{upstream}"
        stack.enter_context(Server("upstream", "-m", "bench.servers.upstream", str(upstream), port=upstream))
        provider = {"protocol": "openai", "base_url": f"{url}/v1", "api_key": "bench"}
        settings = {
            "providers": {"free": provider},
            "groups": {"bench": {"provider": "free", "model": "bench"}},
        }
        file = Path(folder) / "hub.yaml"
        file.write_text(json.dumps(settings))
        port = free_port()
        hub = Server("hub", "-m", "hub", "serve", "--config", str(file), "--port", str(port), port=port)
        stack.enter_context(hub)
        port = free_port()
        floor = Server("floor", "-m", "bench.servers.floor", str(port), url, port=port)
        stack.enter_context(floor)
        yield hub, floor


async def _measure(server: Server, scenario: Scenario, seconds: float) -> tuple[float, float]:
    before = server.cpu_seconds
    rate = await hammer(
        server.port,
        scenario.path,
        scenario.body,
        connections=scenario.connections,
        seconds=seconds,
        expected=scenario.expected,
    )
    return rate, (server.cpu_seconds - before) / (rate * seconds) * 1e6


def run(*, rounds: int, seconds: float) -> Iterator[Row]:
    """Interleaved rounds: hub, floor, hub, floor, …; the ratio is the median of the rounds' ratios."""
    with _servers() as (hub, floor):
        for scenario in scenarios():
            results = []
            for number in range(rounds + 1):
                once = (
                    asyncio.run(_measure(hub, scenario, seconds)),
                    asyncio.run(_measure(floor, scenario, seconds)),
                )
                if number:  # the first round warms up
                    results.append(once)
            yield Row(
                scenario.name,
                statistics.median(one[0][0] for one in results),
                statistics.median(one[1][0] for one in results),
                statistics.median(one[0][0] / one[1][0] for one in results),
                statistics.median(one[0][1] for one in results),
                statistics.median(one[1][1] for one in results),
            )
