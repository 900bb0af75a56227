"""Stopping the real program while it works: what is under way ends, nothing new begins, nothing is left."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.app import Hub
from hub.settings import load_settings
from tests.e2e.program import Program
from tests.hub.cli.test_serve import children_of, gone
from tests.routing.samples import SAMPLES
from tests.routing.scripted_upstream import Connection, Received, scripted

CHAT = SAMPLES["openai"]
TINY = [sys.executable, str(Path(__file__).parents[1] / "servers" / "tiny.py"), "beep"]


class Upstream:
    """Streams the first half, and the rest once `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.halfway = asyncio.Event()
        self.left = asyncio.Event()

    async def script(self, _: Received, connection: Connection) -> None:
        await connection.head(200, {"content-type": "text/event-stream"})
        half = len(CHAT.stream) // 2
        for piece in CHAT.stream[:half]:
            await connection.chunk(piece)
        self.halfway.set()
        going, gone = asyncio.create_task(self.go.wait()), asyncio.create_task(connection.gone.wait())
        await asyncio.wait((going, gone), return_when=asyncio.FIRST_COMPLETED)
        for task in (going, gone):
            task.cancel()
        if connection.gone.is_set():
            self.left.set()
            return
        for piece in CHAT.stream[half:]:
            await connection.chunk(piece)
        await connection.end()


@asynccontextmanager
async def working(folder: Path, **server: Any) -> AsyncIterator[tuple[Program, Upstream]]:
    upstream = Upstream()
    async with scripted(upstream.script) as where:
        settings = {
            "server": server,
            "providers": {"up": {"protocol": "openai", "base_url": f"{where.url}/v1", "api_key": "k"}},
            "groups": {"g": {"provider": "up", "model": "m"}},
            "mcpServers": {"tiny": {"command": TINY[0], "args": TINY[1:]}},
            "usage": {"url": f"sqlite:///{folder}/usage.db"},
        }
        hub = await asyncio.to_thread(Program, folder, settings, {})
        try:
            await asyncio.to_thread(hub.wait_started)
            await asyncio.to_thread(hub.wait_servers, "tiny")
            yield hub, upstream
        finally:
            if hub.process.poll() is None:
                hub.process.kill()
            await asyncio.to_thread(hub.process.wait)
            await asyncio.to_thread(hub.stop)


async def ended(hub: Program, seconds: float) -> int:
    async with asyncio.timeout(seconds):
        return await asyncio.to_thread(hub.process.wait)


def calls(folder: Path) -> list[tuple[Any, ...]]:
    """Status and kind of error of each chat that was written down."""
    with closing(sqlite3.connect(folder / "usage.db")) as database:
        return database.execute("SELECT status, error_kind FROM calls").fetchall()


async def whole_answer(hub: Program) -> bytes:
    async with httpx.AsyncClient(timeout=30) as client:
        return (await client.post(hub.url + CHAT.path, json=CHAT.stream_body)).content


async def refuses(hub: Program) -> None:
    """New connections are refused, and soon."""
    async with asyncio.timeout(2):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
            except OSError:
                return
            writer.close()


async def test_a_stream_under_way_ends_and_nothing_new_begins(tmp_path: Path) -> None:
    async with working(tmp_path) as (hub, upstream):
        children = children_of(hub.process.pid)
        assert children
        answer = asyncio.create_task(whole_answer(hub))
        await upstream.halfway.wait()
        hub.process.send_signal(signal.SIGTERM)
        await refuses(hub)
        assert hub.process.poll() is None
        upstream.go.set()
        assert await answer == b"".join(CHAT.stream)
        assert await ended(hub, 10) == 0
        assert gone(children, 3)
        assert "up to 30 s for what is under way" in hub.log
    assert calls(tmp_path) == [(200, None)]


async def test_there_is_a_limit_to_it(tmp_path: Path) -> None:
    async with working(tmp_path, drain_timeout=0.5) as (hub, upstream):
        answer = asyncio.create_task(whole_answer(hub))
        await upstream.halfway.wait()
        began = time.monotonic()
        hub.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.RemoteProtocolError):
            await answer
        assert await ended(hub, 10) == 0
        assert time.monotonic() - began >= 0.5
        await asyncio.wait_for(upstream.left.wait(), 2)
        assert "1 answers were under way and are cut" in hub.log
    ((status, error),) = calls(tmp_path)
    assert status == 200
    assert error


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    async with working(tmp_path, drain_timeout=60) as (hub, upstream):
        answer = asyncio.create_task(whole_answer(hub))
        await upstream.halfway.wait()
        hub.process.send_signal(signal.SIGTERM)
        await refuses(hub)
        hub.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.RemoteProtocolError):
            await answer
        assert await ended(hub, 10) == 0


async def test_who_only_listens_is_not_waited_for(tmp_path: Path) -> None:
    """An MCP client's stream for notifications would last as long as the client."""
    headers = {"accept": "application/json, text/event-stream"}
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    }
    async with working(tmp_path, drain_timeout=60) as (hub, _), httpx.AsyncClient(timeout=30) as client:
        begun = await client.post(f"{hub.url}/mcp", json=hello, headers=headers)
        headers["mcp-session-id"] = begun.headers["mcp-session-id"]
        async with client.stream("GET", f"{hub.url}/mcp", headers=headers) as listening:
            assert listening.status_code == 200
            hub.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                async for _ in listening.aiter_bytes():
                    pass
        assert await ended(hub, 10) == 0
        assert "are cut" not in hub.log


async def test_readiness_ends_at_once(tmp_path: Path) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text(json.dumps({"providers": {}, "groups": {}}))
    async with Hub(lambda: load_settings(file, environ={})) as hub:
        transport = httpx.ASGITransport(hub.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            assert (await client.get("/readyz")).status_code == 200
            hub.drain()
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})
            assert (await client.get("/healthz")).status_code == 200
