"""No secret is written down, whatever is switched on: a run of everything, then a search for what was
planted.

Everything is what the hub writes (log, usage, recordings, its two outputs), sends (answers, traces) and
prints (every command that shows something). What is no secret is planted as well, and has to be found.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sqlite3
import subprocess
import sys
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from mcp import Client

from adapters.registry import codecs
from tests.e2e.program import ROOT, Program, environment, program
from tests.e2e.test_secrets import BODIES
from tests.hub.mcp.harness import EVERYTHING
from tests.routing.scripted_upstream import Connection, Received, scripted
from tests.servers.collector import Collector, collector

SECRETS = {
    "hub key": "hub-own-key-5e1fa0c7",
    "provider key": "provider-key-77aa31d9",
    "second provider key": "provider-other-88bb42e0",
    "provider header": "header-secret-93c2b5f1",
    "proxy password": "proxy-secret-22e9f7b3",
    "tool variable": "tool-secret-41d8c9e5",
    "tool argument": "argument-secret-52e9d0f6",
    "tool header": "tool-header-63f0e1a7",
    "tool query": "tool-query-74a1f2b8",
    "collector header": "collector-secret-85b2a3c9",
    "wrong key": "wrong-key-96c3b4d0",
    "own pattern": "customer-4711",
    "key in a message": "sk-ant-0123456789abcdefghijklmnop",
    "key of AWS": "AKIAIOSFODNN7EXAMPLE",
    "token in a message": "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
}
MARKER, TOOL_MARKER = "plain-marker-0a1b2c", "tool-marker-3d4e5f"
RECORDER_ONLY = {"own pattern", "key in a message", "key of AWS", "token in a message"}
"""A client's own words: nothing but the recorder keeps them, and there they are masked."""


async def parrot(received: Received, connection: Connection) -> None:
    """The worst of upstreams: its errors and headers say all that it was sent, keys included."""
    words = received.body.decode()
    said = f"{received.target} {received.headers} {words}"
    model = json.loads(received.body).get("model") or received.target
    if "refuses" in model:
        await connection.head(401, {"content-type": "application/json", "x-request-id": said[:300]})
        await connection.chunk(json.dumps({"error": {"message": said, "type": "oops"}}).encode())
    elif "streams" in model or "alt=sse" in received.target:
        await connection.head(200, {"content-type": "text/event-stream"})
        for text, finish in ((f"{MARKER} {words}", None), ("", "stop")):
            choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
            chunk = {
                "id": "c",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": [choice],
            }
            await connection.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await connection.chunk(b"data: [DONE]\n\n")
    elif "cut" in model:
        await connection.head(200, {"content-type": "text/event-stream"})
        await connection.chunk(b'data: {"error": {"message": ' + json.dumps(said).encode() + b"}}\n\n")
        connection.abort()
        return
    else:
        message = {"role": "assistant", "content": f"{MARKER} {words}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        await connection.head(200, {"content-type": "application/json", "openai-said": said[:300]})
        answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        await connection.chunk(json.dumps(answer).encode())
    await connection.end()


def settings(upstream: str, traces: str) -> dict[str, Any]:
    def provider(protocol: str, **more: Any) -> dict[str, Any]:
        return {
            "protocol": protocol,
            "base_url": upstream,
            "api_keys": ["${PROVIDER_KEY}", SECRETS["second provider key"]],
            "headers": {"x-extra": SECRETS["provider header"]},
            **more,
        }

    providers = {f"up-{codec.name}": provider(codec.name) for codec in codecs()}
    proxy = f"http://user:{SECRETS['proxy password']}@127.0.0.1:9"
    providers["proxied"] = provider("openai", base_url="http://model.invalid/v1", proxy=proxy)
    groups: dict[str, Any] = {name: {"provider": name, "model": "m"} for name in providers}
    groups |= {
        f"{manner}-{name}": {"provider": name, "model": manner}
        for manner in ("refuses", "streams", "cut")
        for name in ("up-openai", "up-anthropic")
    }
    groups["over"] = {
        "strategy": "priority",
        "targets": [
            {"provider": "up-openai", "model": "refuses"},
            {"provider": "proxied", "model": "m", "priority": 1},
            {"provider": "up-openai", "model": "m", "priority": 2},
        ],
    }
    arguments, variables = [str(EVERYTHING), "stdio"], {"MY_TOKEN": SECRETS["tool variable"]}
    return {
        "server": {"log_level": "debug"},
        "providers": providers,
        "groups": groups,
        "mcpServers": {
            "tool": {"command": sys.executable, "args": arguments, "env": variables},
            "wrong": {"command": "/no/such/program", "args": ["--api-key", SECRETS["tool argument"]]},
            "far": {
                "url": f"{upstream}/mcp?token={SECRETS['tool query']}",
                "headers": {"Authorization": f"Bearer {SECRETS['tool header']}"},
            },
        },
        "keys": {"me": {"key": SECRETS["hub key"]}},
        "log": {"level": "debug"},
        "telemetry": {"endpoint": traces, "headers": {"X-Token": SECRETS["collector header"]}},
        "recorder": {"redact": [r"customer-\d+"]},
    }  # fmt: skip


class Everything:
    """What has come out of the hub, by where."""

    def __init__(self) -> None:
        self.found: dict[str, list[bytes]] = {}

    def add(self, where: str, what: bytes | str) -> None:
        self.found.setdefault(where, []).append(what if isinstance(what, bytes) else what.encode())

    def places(self, text: str) -> set[str]:
        forms = {text, quote(text, safe=""), b64encode(text.encode()).decode()}
        forms |= {b64encode(f"user:{text}".encode()).decode()}
        return {
            where
            for where, texts in self.found.items()
            for one in texts
            if any(form.encode() in one for form in forms)
        }


async def chats(hub: Program, out: Everything) -> None:
    """Every protocol to every group, with the key in each place; and all kinds of refusals."""
    key, words = SECRETS["hub key"], " ".join(SECRETS[name] for name in sorted(RECORDER_ONLY))
    forms: list[dict[str, Any]] = [
        {"headers": {"authorization": f"Bearer {key}"}},
        {"headers": {"x-api-key": key, "cookie": f"session={key}"}},
        {"params": {"key": key}},
    ]
    groups = settings("http://x", "http://x")["groups"]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for position, group in enumerate(groups):
            for number, (path, body) in enumerate(BODIES.values()):
                text = json.dumps({"model": "x", **body}).replace("hi", f"hi {words}")
                form = forms[(position + number) % len(forms)]
                try:
                    answer = await client.post(f"{hub.url}/{group}{path}", content=text, **form)
                    out.add(
                        "answers", f"{answer.headers} ".encode() + answer.content.replace(words.encode(), b"")
                    )
                except httpx.RemoteProtocolError as error:  # a stream that was cut
                    out.add("answers", str(error))
        wrong = {"headers": {"authorization": f"Bearer {SECRETS['wrong key']}"}}
        for path in (
            "/v1/messages",
            f"/v1/models?key={SECRETS['wrong key']}",
            "/mcp",
            "/hub/v1/status",
            "/metrics",
        ):
            answer = await client.post(hub.url + path, json={}, **wrong)
            assert answer.status_code in (401, 404), path
            out.add("answers", f"{answer.headers} {answer.text}")
        for path in (
            "/nothing/at/all",
            "/v1/models",
            "/hub/v1/status",
            "/metrics",
            "/hub/v1/usage",
            "/readyz",
        ):
            answer = await client.get(hub.url + path, **forms[0])
            out.add("metrics" if path == "/metrics" else "answers", f"{answer.headers} {answer.text}")


async def tools(hub: Program, out: Everything) -> None:
    key = SECRETS["hub key"]
    async with httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {key}"}) as http:
        from mcp.client.streamable_http import streamable_http_client

        async with Client(streamable_http_client(f"{hub.url}/mcp", http_client=http)) as client:
            out.add("answers", str(await client.list_tools()))
            out.add("answers", str(await client.call_tool("tool_echo", {"text": TOOL_MARKER})))
            try:
                out.add("answers", str(await client.call_tool("far_nothing", {})))
            except Exception as error:
                out.add("answers", repr(error))


def commands(hub: Program, out: Everything) -> None:
    """What the command line shows of it all."""
    request = hub.folder / "request.json"
    request.write_text(json.dumps({"model": "x", "messages": [{"role": "user", "content": "hi"}]}))
    reach = ("--config", str(hub.file), "--port", str(hub.port), "--key", SECRETS["hub key"])
    runs = {
        "status": ("status", *reach, "--json"),
        "groups": ("groups", *reach),
        "check": ("check", "--config", str(hub.file)),
        "explain": ("explain", "up-openai", str(request), "--config", str(hub.file)),
        "explain proxied": ("explain", "proxied", str(request), "--config", str(hub.file), "--json"),
        "logs": ("logs", "--port", str(hub.port), "--config", str(hub.file)),
        "logs json": ("logs", "--port", str(hub.port), "--config", str(hub.file), "--json"),
        "recordings": ("recordings", "--config", str(hub.file)),
    }
    for name, arguments in runs.items():
        out.add("commands", f"{name}: {_run(hub, *arguments)}")
    ids = [line.split("\t")[0] for line in _run(hub, *runs["recordings"]).splitlines()]
    assert len(ids) > 20
    for one in (ids[0], ids[len(ids) // 2], ids[-1]):
        out.add("commands", _run(hub, "recordings", one, "--config", str(hub.file)))
        out.add("commands", _run(hub, "replay", one, *reach, fails=True))


def _run(hub: Program, *arguments: str, fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "hub", *arguments],
        cwd=hub.folder,
        env=environment(hub.folder, {"PYTHONPATH": str(ROOT), "PROVIDER_KEY": SECRETS["provider key"]}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert fails or done.returncode == 0, (arguments, done.stderr)
    return done.stdout + done.stderr


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything below the state folder; what is packed is unpacked."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            yield path.name, gzip.decompress(data) if path.suffix == ".gz" else data
    database = sqlite3.connect(folder / "recordings.db")
    for (document,) in database.execute("select document from recordings"):
        yield "recordings", zlib.decompress(document)
    database.close()
    database = sqlite3.connect(folder / "usage.db")
    tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
    for table in tables:
        for row in database.execute(f"select * from {table}"):
            yield "usage", repr(row).encode()
    database.close()


@asynccontextmanager
async def run_of_everything(folder: Path) -> AsyncIterator[tuple[Everything, Collector]]:
    out = Everything()
    state = folder / ".local" / "state" / "ccproxy-hub"
    with collector() as collected:
        async with scripted(parrot) as upstream:
            environ = {"PROVIDER_KEY": SECRETS["provider key"]}
            with program(folder, settings(upstream.url, collected.url), environ) as hub:
                await chats(hub, out)
                await tools(hub, out)
                await asyncio.to_thread(collected.wait, 50)
                await asyncio.to_thread(commands, hub, out)
            out.add("output", hub.log)
            assert len(upstream.requests) > 50
    for body in collected.bodies:
        out.add("traces", body)
    for name, data in files(state):
        out.add(name, data)
    yield out, collected


async def test_no_planted_secret_is_found_and_every_plain_marker_is(tmp_path: Path) -> None:
    async with run_of_everything(tmp_path) as (out, collected):
        found = {name: places for name, secret in SECRETS.items() if (places := out.places(secret))}
        # The control: what is no secret is where it belongs, in each of these.
        assert {"answers", "recordings"} <= out.places(MARKER)
        assert "answers" in out.places(TOOL_MARKER)
        assert out.places("up-openai") >= {"output", "recordings", "usage", "traces", "metrics", "commands"}
        assert any(name.endswith(".jsonl") for name in out.places("up-openai"))
        assert any(span.name == "tools/call tool_echo" for span in collected.spans)
        assert re.search(rb"hi [*]{3} [*]{3} [*]{3} [*]{3}", b"".join(out.found["recordings"]))
        private = [path for path in (tmp_path / ".local/state/ccproxy-hub").rglob("*") if path.is_file()]
        assert {oct(path.stat().st_mode & 0o077) for path in private if path.suffix != ".json"} == {"0o0"}
    assert found == {}
