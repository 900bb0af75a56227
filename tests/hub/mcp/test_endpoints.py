"""The paths, the door, and servers that the hub plays itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from mcp import Client
from starlette.applications import Starlette
from starlette.routing import Mount

from hub.downstream import Caller, Listing
from hub.mcp_hub import McpHub
from hub.settings.mcp import ProfileSettings
from tests.hub.mcp.harness import ERAS, running, stdio, text_of

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-03-26",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}
ACCEPT = {"accept": "application/json, text/event-stream"}


def http(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=ACCEPT, timeout=10)


async def test_an_unknown_endpoint_names_the_known_ones() -> None:
    async with (
        running({"x": stdio(disabled=True)}, {"p": ProfileSettings()}) as hub,
        http(hub.hub.app) as client,
    ):
        answer = await client.post("/mcp/nope", json=INITIALIZE)
        assert answer.status_code == 404
        assert answer.json()["error"]["known"] == ["/mcp", "/mcp/p", "/mcp/x"]
        assert "'nope'" in answer.json()["error"]["message"]
        for path in ("/mcp", "/mcp/", "/mcp/p", "/mcp/x", "/mcp/x/"):
            assert (await client.post(path, json=INITIALIZE)).status_code == 200
        await hub.hub.apply({}, {})
        assert (await client.post("/mcp/x", json=INITIALIZE)).status_code == 404


async def test_it_serves_below_a_mount_too() -> None:
    async with McpHub(version="1") as hub:
        await hub.apply({}, {"p": ProfileSettings()})
        for app in (Starlette(routes=[Mount("/mcp", hub.app)]), Starlette(routes=[Mount("/", hub.app)])):
            async with http(app) as client:
                for path in ("/mcp/", "/mcp/p"):
                    assert (await client.post(path, json=INITIALIZE)).status_code == 200


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1", None, 200),
        ("localhost:1234", None, 200),
        ("evil.example", None, 421),
        ("evil.example", "http://evil.example", 421),
        ("hub.example", None, 200),
        ("127.0.0.1", "https://evil.example", 403),
        ("127.0.0.1", "https://app.example", 200),
    ],
)
@pytest.mark.parametrize("lists", [True, False])
async def test_host_and_origin_are_checked(host: str, origin: str | None, status: int, lists: bool) -> None:
    own = {"allowed_hosts": ["hub.example"], "allowed_origins": ["https://app.example"]} if lists else {}
    if not lists and "example" in f"{host}{origin}":
        status = 421 if host.endswith(".example") else 403
    async with running(**own) as hub, httpx.AsyncClient(headers=ACCEPT) as client:
        headers = {"host": host} | ({"origin": origin} if origin else {})
        assert (await client.post(hub.url(), json=INITIALIZE, headers=headers)).status_code == status


async def test_a_hub_behind_another_guard_does_not_check_again() -> None:
    async with running(guard=False) as hub, httpx.AsyncClient(headers=ACCEPT) as client:
        answer = await client.post(hub.url(), json=INITIALIZE, headers={"host": "hub.example"})
        assert answer.status_code == 200


@pytest.mark.parametrize("era", ERAS)
async def test_what_the_hub_says_of_itself(era: str) -> None:
    async with running({"x": stdio()}) as hub, hub.client(era) as client:
        info = client.session.server_info
        capabilities = client.session.server_capabilities
    assert info is not None
    assert (info.name, info.version) == ("hub", "1.2.3")
    assert capabilities is not None
    assert capabilities.tools is not None
    assert capabilities.tools.list_changed is True
    assert capabilities.resources is not None
    assert (capabilities.resources.subscribe, capabilities.resources.list_changed) == (True, True)
    assert capabilities.prompts is not None
    assert capabilities.completions is not None


class Greeter:
    """Tools of the hub itself."""

    listing = Listing(
        tools=(
            {"name": "greet", "inputSchema": {"type": "object", "properties": {"who": {"type": "string"}}}},
        ),
        capabilities={"tools": {}},
    )

    async def request(self, method: str, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        assert method == "tools/call"
        await caller.notify("notifications/progress", {"progress": 1, "message": "half"})
        return {"content": [{"type": "text", "text": f"{params['name']} {params['arguments']['who']}"}]}


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_that_the_hub_plays_itself(era: str) -> None:
    heard: list[Any] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))

    async with running() as hub:
        hub.hub.add_virtual_server("hub", Greeter())
        await hub.hub.apply({}, {"p": ProfileSettings(servers="hub"), "none": ProfileSettings(servers=())})
        async with hub.client(era) as client:
            result = await client.call_tool("greet", {"who": "you"}, progress_callback=on_progress)
            assert text_of(result) == "greet you"
        async with hub.client(era, "hub") as client:
            assert text_of(await client.call_tool("greet", {"who": "me"})) == "greet me"
        async with hub.client(era, "p") as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["greet"]
        async with hub.client(era, "none") as client:
            assert (await client.list_tools()).tools == []
    assert heard == [(1, "half")]


async def test_many_clients_of_both_eras_at_once() -> None:
    async with running({"x": stdio(), "y": stdio("--era", "modern")}) as hub:

        async def work(number: int) -> set[str]:
            client: Client = hub.client(ERAS[number % 2])
            async with client:
                names = ["x_echo", "y_echo"] * 3
                calls = (client.call_tool(name, {"text": f"{number}{name}"}) for name in names)
                return {text_of(result) for result in await asyncio.gather(*calls)}

        found = await asyncio.gather(*(work(number) for number in range(20)))
    assert found == [{f"{number}x_echo", f"{number}y_echo"} for number in range(20)]


async def test_malformed_requests_are_refused_in_the_protocols_way() -> None:
    async with running({"x": stdio(disabled=True)}) as hub, http(hub.hub.app) as client:
        modern = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "n"}
        bodies: list[Any] = [
            [],
            {},
            1,
            "x",
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 1}},
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call"},
        ]
        for headers in ({}, modern):
            for body in bodies:
                answer = await client.post("/mcp", content=json.dumps(body), headers=headers)
                assert 400 <= answer.status_code < 500, (body, headers)
