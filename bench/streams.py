"""Many slow streams at once through one hub: is one broken, does memory grow, how late are the chunks?"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from bench.processes import Server, free_port
from bench.servers.paced import MARK

_SENT = re.compile(MARK.encode() + rb"([0-9.]+) ")
_MESSAGES = [{"role": "user", "content": "Count slowly."}]
_PAUSE = 0.5
"""Seconds between two chunks of a stream: with 1,000 streams 2,000 chunks a second."""
_RAMP = 5.0
"""Seconds over which the streams begin."""


@dataclass(frozen=True)
class Row:
    """Megabytes of resident memory before, and after shares of the time; milliseconds for each chunk."""

    name: str
    streams: int
    broken: int
    chunks: int
    memory: dict[str, float]
    cpu: float
    """Share of one core."""
    median: float
    p99: float


@dataclass
class _Client(asyncio.Protocol):
    """One stream: what came of it, and how late."""

    request: bytes
    last: bytes
    delays: list[float] = field(default_factory=list)
    whole: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _tail: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = monotonic()
        data = self._tail + data
        end = 0
        for found in _SENT.finditer(data):
            self.delays.append(now - float(found[1]))
            end = found.end()
        self._tail = data[end:][-200:]
        if self.last in self._tail:
            self.whole = True
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set()


def _request(port: int, path: str, more: dict[str, object], key: str) -> bytes:
    body = json.dumps({"model": "bench", "messages": _MESSAGES, "stream": True, **more}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _hold(
    name: str, server: Server, requests: list[tuple[bytes, bytes]], seconds: float, chunks: int
) -> Row:
    """Streams in the turns of `requests` (a request, and how its stream ends)."""
    memory = {"before": server.memory_megabytes}
    started, cpu = monotonic(), server.cpu_seconds
    loop = asyncio.get_running_loop()
    clients: list[_Client] = []
    for number, (request, last) in enumerate(requests):
        client = _Client(request, last)
        clients.append(client)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", server.port)  # type: ignore[misc]
        await asyncio.sleep(max(0.0, started + _RAMP * number / len(requests) - monotonic()))
    for share in (1 / 6, 1 / 2, 1):
        await asyncio.sleep(max(0.0, started + share * seconds - monotonic()))
        memory[f"{share * seconds:.0f} s"] = server.memory_megabytes
    cpu = (server.cpu_seconds - cpu) / (monotonic() - started)
    async with asyncio.timeout(seconds + 60):
        await asyncio.gather(*(client.done.wait() for client in clients))
    delays = sorted(delay * 1e3 for client in clients for delay in client.delays)
    broken = sum(not client.whole or len(client.delays) != chunks for client in clients)
    p99 = delays[int(len(delays) * 0.99)]
    return Row(name, len(clients), broken, len(delays), memory, cpu, statistics.median(delays), p99)


@contextmanager
def _servers(key: str) -> Iterator[tuple[Server, Server]]:
    with ExitStack() as stack, TemporaryDirectory() as folder:
        port = free_port()
        upstream = Server("paced upstream", "-m", "bench.servers.paced", str(port), port=port)
        stack.enter_context(upstream)
        provider = {"protocol": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "api_key": key}
        settings = {
            "providers": {"slow": provider},
            "groups": {"bench": {"provider": "slow", "model": "bench"}},
        }
        file = Path(folder) / "hub.yaml"
        file.write_text(json.dumps(settings))
        port = free_port()
        hub = Server("hub", "-m", "hub", "serve", "--config", str(file), "--port", str(port), port=port)
        yield stack.enter_context(hub), upstream


def run(*, streams: int, seconds: float) -> Iterator[Row]:
    """Half of them passed through, half converted; then the same streams directly, for comparison."""
    chunks = int(seconds / _PAUSE)  # so that none has ended when memory is read last
    key = f"{chunks}-{_PAUSE}"
    done, stop = b"data: [DONE]", b'"type":"message_stop"'
    with _servers(key) as (hub, upstream):
        passed = _request(hub.port, "/bench/v1/chat/completions", {}, key), done
        converted = _request(hub.port, "/bench/v1/messages", {"max_tokens": 100}, key), stop
        direct = _request(upstream.port, "/v1/chat/completions", {}, key), done
        both = [passed, converted] * (streams // 2)
        yield asyncio.run(_hold("through the hub", hub, both, seconds, chunks))
        yield asyncio.run(_hold("directly", upstream, [direct] * streams, seconds, chunks))
