"""What the usage database holds of the real program's calls, also after its sudden end."""

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
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp_types import Implementation

from tests.e2e.program import Program, program
from tests.routing.scripted_upstream import Connection, Received, ScriptedUpstream, scripted

SECONDS = 30
AT_ONCE = 8
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}
SERVER = Path(__file__).parents[1] / "servers" / "tiny.py"


async def answer(received: Received, connection: Connection) -> None:
    body = json.dumps(ANSWER).encode()
    await connection.head(
        200, {"content-type": "application/json", "content-length": str(len(body))}, chunked=False
    )
    await connection.write(body)


@asynccontextmanager
async def upstream_and_settings(**more: Any) -> AsyncIterator[tuple[ScriptedUpstream, dict[str, Any]]]:
    async with scripted(answer) as upstream:
        yield (
            upstream,
            {
                "providers": {"up": {"protocol": "openai", "base_url": f"{upstream.url}/v1"}},
                "groups": {"g": {"provider": "up", "model": "m"}},
                "prices": {"up/*": {"input": 2, "output": 10}},
                **more,
            },
        )


def database(folder: Path) -> Path:
    return folder / ".local" / "state" / "ccproxy-hub" / "usage.db"


def rows(file: Path, what: str = "*") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute(f"SELECT {what} FROM calls ORDER BY id").fetchall()


async def ask(client: httpx.AsyncClient) -> str:
    """The id of an answered request."""
    message = {"role": "user", "content": "Well?"}
    answer = await client.post("/v1/chat/completions", json={"model": "g", "messages": [message]})
    answer.raise_for_status()
    return answer.headers["x-request-id"]


async def load(client: httpx.AsyncClient, answered: list[str]) -> None:
    """Until the hub is gone."""
    while True:
        try:
            answered.append(await ask(client))
        except httpx.TransportError:
            return


async def written(hub: Program, at_least: int) -> int:
    """How many calls the hub says are in its database, once there are so many."""
    deadline = time.monotonic() + SECONDS
    async with httpx.AsyncClient(base_url=hub.url, trust_env=False) as client:
        while time.monotonic() < deadline:
            usage = (await client.get("/hub/v1/status")).json()["usage"]
            if usage["written"] >= at_least:
                return int(usage["written"])
            await asyncio.sleep(0.02)
    raise AssertionError(f"{usage}\n{hub.log}")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_kill_in_the_middle_of_load(tmp_path: Path) -> None:
    async with upstream_and_settings() as (_, settings):
        hub = Program(tmp_path, settings, {})
        text = hub.file.read_bytes()
        try:
            await asyncio.to_thread(hub.wait_started)
            answered: list[str] = []
            async with httpx.AsyncClient(base_url=hub.url, trust_env=False, timeout=SECONDS) as client:
                clients = [asyncio.create_task(load(client, answered)) for _ in range(AT_ONCE)]
                told = await written(hub, 300)
                hub.process.send_signal(signal.SIGKILL)
                await asyncio.wait_for(asyncio.gather(*clients), SECONDS)
            assert hub.process.wait(SECONDS) == -signal.SIGKILL
        finally:
            hub.process.kill()
            hub.process.wait()
            hub.stop()
        assert hub.file.read_bytes() == text, "the settings are as they were"

        kept = [name for (name,) in rows(database(tmp_path), "request_id")]
        assert len(kept) >= told, "what the hub said was written is there"
        missing = [place for place, name in enumerate(answered) if name not in set(kept)]
        if missing:  # the last batch alone: nothing that was answered before what is there
            assert missing[0] >= len(kept) - 2 * AT_ONCE
            assert len(missing) < len(answered) - told + AT_ONCE

        with program(tmp_path, settings) as again:
            async with httpx.AsyncClient(base_url=again.url, trust_env=False) as client:
                last = await ask(client)
            await written(again, 1)
            assert again.status()["usage"]["state"] == "recording"
        after = [name for (name,) in rows(database(tmp_path), "request_id")]
        assert after == [*kept, last]
        with closing(sqlite3.connect(database(tmp_path))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_chats_and_tool_calls_are_rows(tmp_path: Path) -> None:
    more = {
        "mcpServers": {"tiny": {"command": sys.executable, "args": [str(SERVER), "one"]}},
        "keys": {"laptop": "hub-key-of-a-laptop"},
    }
    async with upstream_and_settings(**more) as (_, settings):
        with program(tmp_path, settings) as hub:
            headers = {"authorization": "Bearer hub-key-of-a-laptop", "user-agent": "curl/8.1"}
            async with httpx.AsyncClient(base_url=hub.url, headers=headers, trust_env=False) as client:
                identity = await ask(client)
                deadline = time.monotonic() + SECONDS
                while time.monotonic() < deadline:
                    status = (await client.get("/hub/v1/status")).json()
                    if status["servers"][0]["state"] == "ready":
                        break
                    await asyncio.sleep(0.02)
                transport = StreamableHttpTransport(f"{hub.url}/mcp/tiny", headers=headers)
                ide = Implementation(name="an-ide", version="1")
                async with Client(transport, client_info=ide) as session:
                    await session.call_tool("one_echo", {"text": "secret words"})
                while time.monotonic() < deadline:
                    usage = (await client.get("/hub/v1/usage?by=key")).json()
                    if usage["total"]["requests"] and usage["total"]["tool_calls"]:
                        break
                    await asyncio.sleep(0.02)
                (row,) = usage["rows"]
                assert row["name"] == "laptop"
                assert row["cost"] == pytest.approx(0.003)
                assert (await client.get("/hub/v1/usage?by=week")).status_code == 400
                assert (await client.get("/hub/v1/usage?since=soon")).status_code == 400
            async with httpx.AsyncClient(base_url=hub.url, trust_env=False) as nobody:
                assert (await nobody.get("/hub/v1/usage")).status_code == 401
    await asyncio.to_thread(hub.process.wait, SECONDS)
    columns = "kind, request_id, key_name, client, group_name, provider, model, status, tokens_in, tokens_out"
    chat, tool = rows(database(tmp_path), columns)
    assert chat == ("chat", identity, "laptop", "curl", "g", "up", "m", 200, 1000, 100)
    assert (tool[0], tool[2], tool[3]) == ("tool", "laptop", "an-ide")
    (_, tool) = rows(database(tmp_path), "profile, server, tool, error_kind, bytes_in, bytes_out > 0")
    assert tool == ("tiny", "tiny", "one_echo", None, len(b'{"text":"secret words"}'), 1)
    ((size, sent), _) = rows(database(tmp_path), "bytes_in, bytes_out")
    assert size > len("Well?")
    assert sent == len(json.dumps(ANSWER))
    with closing(sqlite3.connect(database(tmp_path))) as connection:
        dump = "\n".join(connection.iterdump())
    assert "Well?" not in dump
    assert "secret words" not in dump
    assert "hub-key-of-a-laptop" not in dump
