"""No key goes where it does not belong: upstream, downstream, log, error or answer."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client

from adapters.registry import codecs
from tests.e2e.program import Program, program
from tests.hub.mcp.harness import EVERYTHING
from tests.routing.scripted_upstream import Connection, Received, ScriptedUpstream, scripted

HUB_KEY, PROVIDER_KEY, HEADER_SECRET = "hub-key-5e1f", "provider-key-77aa", "header-secret-93c2"
TOOL_SECRET, OTHER_VARIABLE = "tool-secret-41d8", "unrelated-secret-6b0c"
SECRETS = (HUB_KEY, PROVIDER_KEY, HEADER_SECRET, TOOL_SECRET, OTHER_VARIABLE)

FORMS: dict[str, dict[str, Any]] = {
    "bearer": {"headers": {"authorization": f"Bearer {HUB_KEY}"}},
    "x-api-key": {"headers": {"x-api-key": HUB_KEY}},
    "x-goog-api-key": {"headers": {"x-goog-api-key": HUB_KEY}},
    "query": {"params": {"key": HUB_KEY}},
}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "openai-responses": ("/v1/responses", {"input": "hi"}),
    "anthropic": ("/v1/messages", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}),
    "gemini": ("/v1beta/models/any:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
    "ollama": ("/api/chat", {"messages": [{"role": "user", "content": "hi"}], "stream": False}),
}


async def parrot(received: Received, connection: Connection) -> None:
    """Refuses everything and says all that it was sent, keys included: the worst of upstreams."""
    said = json.dumps({"error": {"message": f"{received.target} {received.headers}", "type": "oops"}})
    await connection.head(400, {"content-type": "application/json"})
    await connection.chunk(said.encode())
    await connection.end()


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[tuple[Program, ScriptedUpstream]]:
    async with scripted(parrot) as upstream:
        providers = {
            f"up-{codec.name}": {
                "protocol": codec.name,
                "base_url": upstream.url,
                "api_key": "${PROVIDER_KEY}",
                "headers": {"x-extra": HEADER_SECRET},
            }
            for codec in codecs()
        }
        settings = {
            "server": {"log_level": "debug"},
            "providers": providers,
            "groups": {name: {"provider": name, "model": "m"} for name in providers},
            "mcpServers": {
                "tool": {
                    "command": sys.executable,
                    "args": [str(EVERYTHING), "stdio"],
                    "env": {"TOOL_SECRET": TOOL_SECRET},
                }
            },
            "keys": {"me": {"key": HUB_KEY}},
        }
        environ = {"PROVIDER_KEY": PROVIDER_KEY, "ANTHROPIC_API_KEY": OTHER_VARIABLE}
        with program(folder, settings, environ) as hub:
            yield hub, upstream


async def test_a_providers_key_goes_to_the_provider_and_the_hubs_key_nowhere(tmp_path: Path) -> None:
    assert set(BODIES) >= {codec.name for codec in codecs()}
    async with guarded(tmp_path) as (hub, upstream), httpx.AsyncClient(trust_env=False) as client:
        for path, body in BODIES.values():
            for target in BODIES:
                for form in FORMS.values():
                    answer = await client.post(
                        f"{hub.url}/up-{target}{path}", json={"model": "x", **body}, **form
                    )
                    told = f"{answer.headers} {answer.text}"
                    assert answer.status_code == 400, told
                    assert not [secret for secret in SECRETS if secret in told]
        assert len(upstream.requests) == len(BODIES) ** 2 * len(FORMS)
        for request in upstream.requests:
            assert HUB_KEY not in f"{request.target} {request.headers} {request.body!r}"
            assert PROVIDER_KEY in str(request.headers)
            assert PROVIDER_KEY not in request.target
        status = (await client.get(f"{hub.url}/hub/v1/status", **FORMS["bearer"])).text
        metrics = (await client.get(f"{hub.url}/metrics", **FORMS["bearer"])).text
    for text in (hub.log, status, metrics):
        assert not [secret for secret in SECRETS if secret in text]


async def test_a_tools_process_gets_its_own_secrets_only(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (hub, _):
        async with httpx.AsyncClient(trust_env=False, **FORMS["bearer"]) as http:
            for _attempt in range(200):
                row = (await http.get(f"{hub.url}/hub/v1/status")).json()["servers"][0]
                if row["state"] == "ready":
                    break
        environ = Path(f"/proc/{row['pid']}/environ").read_text()
    assert TOOL_SECRET in environ
    assert not [secret for secret in SECRETS if secret != TOOL_SECRET and secret in environ]


@pytest.mark.parametrize(
    "path", ["/v1/models", "/mcp", "/hub/v1/status", "/metrics", "/readyz", "/", "/api/tags"]
)
async def test_every_endpoint_but_one_asks_for_the_key(tmp_path: Path, path: str) -> None:
    async with guarded(tmp_path) as (hub, _), httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(hub.url + path)).status_code == 401
        wrong = await client.get(hub.url + path, headers={"authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        assert (await client.get(f"{hub.url}/healthz")).status_code == 200


async def test_an_mcp_client_shows_the_key_and_the_server_behind_never_sees_it(tmp_path: Path) -> None:
    seen: list[Received] = []

    async def record(received: Received, connection: Connection) -> None:
        seen.append(received)
        await parrot(received, connection)

    async with scripted(record) as downstream:
        settings = {
            "mcpServers": {
                "tool": {"command": sys.executable, "args": [str(EVERYTHING), "stdio"]},
                "far": {"url": f"{downstream.url}/mcp", "headers": {"x-extra": HEADER_SECRET}},
            },
            "keys": [HUB_KEY],
        }
        with program(tmp_path, settings) as hub:
            with pytest.raises(Exception, match="asks for a key"):
                async with Client(f"{hub.url}/mcp"):
                    pass
            async with Client(f"{hub.url}/mcp", auth=HUB_KEY) as client:
                await client.list_tools()
            log = hub.log
    assert seen
    assert all(request.headers["x-extra"] == HEADER_SECRET for request in seen)
    assert HUB_KEY not in str(seen)
    assert HUB_KEY not in log
    assert HEADER_SECRET not in log
