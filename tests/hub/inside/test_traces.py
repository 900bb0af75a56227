"""Traces, as a real collector gets them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client.streamable_http import streamable_http_client

from hub.settings.checks import check
from hub.settings.document import Document
from tests.hub.inside.harness import by_model, delta, serving, settings
from tests.hub.mcp.harness import EVERYTHING
from tests.routing.scripted_upstream import answers, scripted, streams
from tests.servers.collector import Span, collector

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


def one(spans: list[Span], kind: str, name: str | None = None) -> Span:
    (found,) = (span for span in spans if span.kind == kind and (name is None or span.name == name))
    return found


async def test_a_chat_is_a_server_span_and_a_client_span(tmp_path: Path) -> None:
    with collector() as collected:
        async with scripted(by_model()) as upstream:
            document = settings(
                upstream.url,
                telemetry={"endpoint": collected.url, "headers": {"X-Token": "t-1"}, "service_name": "mine"},
            )
            async with serving(tmp_path, document) as hub:
                answer = await hub.chat(headers={"traceparent": TRACEPARENT, "tracestate": "vendor=secret"})
                assert answer.status_code == 200
                spans = await asyncio.to_thread(collected.wait, 2)
        (asked,) = upstream.requests
    request, attempt = one(spans, "server"), one(spans, "client")
    assert (request.name, attempt.name) == ("chat g", "chat m")
    assert (request.trace, request.parent) == (TRACE, PARENT)
    assert (attempt.trace, attempt.parent) == (TRACE, request.id)
    assert asked.headers["traceparent"] == f"00-{TRACE}-{attempt.id}-01"
    assert "tracestate" not in asked.headers
    assert (
        request.attributes.items()
        >= {
            "hub.group": "g",
            "hub.request_id": answer.headers["x-request-id"],
            "hub.attempts": 1,
            "http.request.method": "POST",
            "http.response.status_code": 200,
            "url.path": "/g/v1/chat/completions",
        }.items()
    )
    told = dict(attempt.attributes)
    assert told.pop("gen_ai.response.time_to_first_chunk") > 0
    port = int(upstream.url.rpartition(":")[2])
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "up",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": False,
        "gen_ai.response.model": "model-0613",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": port,
        "hub.target": "up/m",
        "hub.target_protocol": "openai",
    }
    assert not request.error
    assert not attempt.error
    assert collected.paths[0] == "/v1/traces"
    assert collected.headers[0]["x-token"] == "t-1"
    assert collected.resources[0]["service.name"] == "mine"


async def test_a_span_ends_with_its_stream(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def slow(_: Any, connection: Any) -> None:
        await connection.head(200, {"content-type": "text/event-stream"})
        await connection.chunk(delta("Hello"))
        await go_on.wait()
        await connection.chunk(delta(finish="length") + b"data: [DONE]\n\n")
        await connection.end()

    with collector() as collected:
        async with scripted(by_model(m=slow)) as upstream:
            document = settings(upstream.url, telemetry={"endpoint": collected.url})
            async with serving(tmp_path, document) as hub:
                path = f"{hub.url}/g/v1/chat/completions"
                body = {"model": "x", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
                async with hub.client.stream("POST", path, json=body) as answer:
                    pieces = answer.aiter_bytes()
                    assert b"Hello" in await anext(pieces)
                    first_piece_at = asyncio.get_running_loop().time()
                    await asyncio.sleep(0.2)
                    waited = asyncio.get_running_loop().time() - first_piece_at
                    assert collected.spans == []
                    go_on.set()
                    async for _ in pieces:
                        pass
                spans = await asyncio.to_thread(collected.wait, 2)
    attempt = one(spans, "client")
    assert attempt.seconds >= waited
    assert one(spans, "server").seconds >= attempt.seconds
    assert attempt.attributes["gen_ai.response.time_to_first_chunk"] < attempt.seconds
    assert attempt.attributes["gen_ai.request.stream"] is True
    assert attempt.attributes["gen_ai.response.finish_reasons"] == ["length"]


async def test_each_attempt_has_its_span_and_the_kind_of_its_error(tmp_path: Path) -> None:
    busy = answers({"error": {"message": "not now, my secret prompt"}}, 429)
    with collector() as collected:
        async with scripted(by_model(busy=busy)) as upstream:
            document = settings(upstream.url, telemetry={"endpoint": collected.url})
            async with serving(tmp_path, document) as hub:
                assert (await hub.chat("second")).status_code == 200
                spans = await asyncio.to_thread(collected.wait, 3)
    refused, answered = one(spans, "client", "chat busy"), one(spans, "client", "chat m")
    assert refused.error
    assert refused.attributes["error.type"] == "429"
    assert "gen_ai.usage.input_tokens" not in refused.attributes
    assert not answered.error
    assert answered.attributes["http.request.resend_count"] == 1
    assert answered.attributes["gen_ai.usage.input_tokens"] == 5
    request = one(spans, "server")
    assert request.attributes["hub.attempts"] == 2
    assert not request.error
    assert {refused.parent, answered.parent} == {request.id}
    assert not any(b"secret prompt" in body for body in collected.bodies)


@pytest.mark.parametrize(
    ("script", "status", "error"),
    [
        (answers({"error": {"message": "boom"}}, 500), 500, "500"),
        (streams(delta("Hel"), cut=True), 200, "reset"),
    ],
    ids=["refused", "cut"],
)
async def test_what_fails_is_told(tmp_path: Path, script: Any, status: int, error: str) -> None:
    with collector() as collected:
        async with scripted(script) as upstream:
            document = settings(upstream.url, telemetry={"endpoint": collected.url})
            async with serving(tmp_path, document) as hub:
                path = f"{hub.url}/g/v1/messages"
                body = {"model": "x", "max_tokens": 9, "stream": status == 200, "messages": [
                    {"role": "user", "content": "hi"}]}  # fmt: skip
                answer = await hub.client.post(path, json=body)
                assert answer.status_code == status
                spans = await asyncio.to_thread(collected.wait, 2)
    assert one(spans, "server").error
    assert one(spans, "client").error
    assert one(spans, "client").attributes["error.type"] == error


async def test_a_tool_call_is_traced_to_its_server(tmp_path: Path) -> None:
    from mcp import Client

    with collector() as collected:
        tool = {"command": sys.executable, "args": [str(EVERYTHING), "stdio"]}
        document = {"mcpServers": {"every": tool}, "telemetry": {"endpoint": collected.url}}
        async with serving(tmp_path, document) as hub:
            await hub.hub.mcp.wait_settled(20)
            async with Client(f"{hub.url}/mcp", mode="auto") as client:
                await client.call_tool("every_echo", {"text": "a secret argument"})
            spans = await asyncio.to_thread(collected.wait, 2)
            spans = [span for span in spans if span.name.startswith("tools/call")]
    served, asked = one(spans, "server"), one(spans, "client")
    assert (served.name, asked.name) == ("tools/call every_echo", "tools/call echo")
    assert asked.parent == served.id
    assert asked.attributes == {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "echo",
        "gen_ai.operation.name": "execute_tool",
        "hub.mcp_server": "every",
        "network.transport": "pipe",
    }
    assert served.attributes["mcp.protocol.version"]
    assert not any(b"secret argument" in body for body in collected.bodies)


@pytest.mark.parametrize("propagate", [True, False])
async def test_an_mcp_server_is_told_the_span_that_asks_it(tmp_path: Path, propagate: bool) -> None:
    from mcp import Client

    with collector() as collected:
        tool = {"command": sys.executable, "args": [str(EVERYTHING), "stdio"]}
        telemetry = {"endpoint": collected.url, "propagate": propagate}
        async with serving(tmp_path, {"mcpServers": {"every": tool}, "telemetry": telemetry}) as hub:
            await hub.hub.mcp.wait_settled(20)
            headers = {"traceparent": TRACEPARENT}
            async with (
                httpx.AsyncClient(trust_env=False, headers=headers) as http,
                Client(streamable_http_client(f"{hub.url}/mcp", http_client=http)) as client,
            ):
                result = await client.call_tool("every_meta", {})
            spans = await asyncio.to_thread(collected.wait, 2)
    meta = json.loads(result.content[0].text)
    asked = one(spans, "client", "tools/call meta")
    assert asked.trace == TRACE
    assert meta.get("traceparent") == (f"00-{TRACE}-{asked.id}-01" if propagate else None)


async def test_the_usual_variables_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collected.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "by-variable")
        async with (
            scripted(by_model()) as upstream,
            serving(tmp_path, settings(upstream.url, telemetry="true")) as hub,
        ):
            await hub.chat()
            await asyncio.to_thread(collected.wait, 2)
    assert collected.paths[0] == "/v1/traces"
    assert collected.resources[0]["service.name"] == "by-variable"


def test_without_the_sdk_the_settings_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.settings.checks.safety.find_spec", lambda name: None)
    for telemetry in ({"enabled": "true"}, {}):
        document = Document({"telemetry": telemetry})
        check(document, {})
        (problem,) = document.problems.values()
        assert "pip install 'ccproxy-hub[telemetry]'" in problem.hint
    document = Document({"telemetry": {"enabled": "false"}})
    check(document, {})
    assert document.problems == {}


async def test_without_propagation_nobody_is_told(tmp_path: Path) -> None:
    with collector() as collected:
        async with scripted(by_model()) as upstream:
            document = settings(upstream.url, telemetry={"endpoint": collected.url, "propagate": False})
            async with serving(tmp_path, document) as hub:
                await hub.chat(headers={"traceparent": TRACEPARENT})
                await asyncio.to_thread(collected.wait, 2)
        assert "traceparent" not in upstream.requests[0].headers


async def test_telemetry_follows_the_settings(tmp_path: Path) -> None:
    with collector() as collected:
        async with scripted(by_model()) as upstream:
            without = settings(upstream.url)
            async with serving(tmp_path, without) as hub:
                await hub.chat(headers={"traceparent": TRACEPARENT})
                assert "traceparent" not in upstream.requests[0].headers
                await hub.reload({**without, "telemetry": {"endpoint": collected.url}})
                await hub.chat()
                await asyncio.to_thread(collected.wait, 2)
                await hub.reload(without)
                await hub.chat()
                assert hub.hub.inside.tracing is None
    assert len(collected.spans) == 2


async def test_the_sample_is_kept_to_and_the_client_decides_first(tmp_path: Path) -> None:
    with collector() as collected:
        async with scripted(by_model()) as upstream:
            document = settings(upstream.url, telemetry={"endpoint": collected.url, "sample": 0})
            async with serving(tmp_path, document) as hub:
                await hub.chat()
                await hub.chat(headers={"traceparent": TRACEPARENT})
                spans = await asyncio.to_thread(collected.wait, 2)
        flags = int(upstream.requests[0].headers["traceparent"].rpartition("-")[2], 16)
        assert flags & 1 == 0
    assert {span.trace for span in spans} == {TRACE}


async def test_a_collector_that_is_away_is_no_matter(tmp_path: Path) -> None:
    async with scripted(by_model()) as upstream:
        document = settings(upstream.url, telemetry={"endpoint": "http://127.0.0.1:9"})
        async with serving(tmp_path, document) as hub:
            assert (await hub.chat()).status_code == 200


def test_switched_off_nothing_of_the_sdk_is_imported() -> None:
    code = (
        "import sys, hub.app, hub.inside, hub.server\n"
        "import json\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('opentelemetry.')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = json.loads(done.stdout)
    assert "opentelemetry.trace" in imported
    assert [name for name in imported if name.split(".")[1] in ("sdk", "exporter", "proto")] == []
