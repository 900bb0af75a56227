"""Calls: questions find their own client, cancellation and time limits work, sessions are kept."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import httpx
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY

from hub.settings.mcp import McpServerSettings
from tests.hub.mcp.harness import (
    ERAS,
    MODES,
    free_port,
    json_of,
    raw_request,
    remote,
    running,
    stdio,
    text_of,
    until,
)

DOWNSTREAMS = ("stdio legacy", "stdio modern", "http legacy", "http modern", "sse legacy")


def server(stack: ExitStack | AsyncExitStack, downstream: str, **more: Any) -> McpServerSettings:
    transport, era = downstream.split()
    if transport == "stdio":
        return stdio("--era", era, **more)
    return stack.enter_context(remote(transport, "--era", era)).model_copy(update=more)


class Person:
    """The callbacks of a client, which answer with a name of their own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[str] = []

    async def elicit(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult:
        self.asked.append(f"{params.mode}: {params.message}")
        return types.ElicitResult(action="accept", content={"name": self.name})

    async def roots(self, context: ClientRequestContext) -> types.ListRootsResult:
        self.asked.append("roots")
        return types.ListRootsResult(roots=[types.Root(uri=f"file:///{self.name}")])

    async def sample(
        self, context: ClientRequestContext, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        self.asked.append("sample")
        content = types.TextContent(type="text", text=self.name)
        return types.CreateMessageResult(role="assistant", content=content, model="m")

    @property
    def options(self) -> dict[str, Any]:
        return {
            "elicitation_callback": self.elicit,
            "list_roots_callback": self.roots,
            "sampling_callback": self.sample,
        }


@pytest.mark.parametrize("downstream", DOWNSTREAMS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_question_reaches_the_client_whose_call_it_is(downstream: str, era: str) -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running({"x": server(stack, downstream)}))
        ann, bob = Person("ann"), Person("bob")
        first = await stack.enter_async_context(hub.client(era, "x", **ann.options))
        second = await stack.enter_async_context(hub.client(era, "x", **bob.options))
        for person, client in ((bob, second), (ann, first), (bob, second)):
            answer = json_of(await client.call_tool("ask"))
            assert (answer["action"], answer["content"]) == ("accept", {"name": person.name})
            assert json_of(await client.call_tool("roots"))["roots"][0]["uri"] == f"file:///{person.name}"
            assert json_of(await client.call_tool("sample"))["content"]["text"] == person.name
    assert ann.asked == ["form: your name?", "roots", "sample"]
    assert bob.asked == ["form: your name?", "roots", "sample"] * 2


@pytest.mark.parametrize("downstream", DOWNSTREAMS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_question_keeps_its_mode(downstream: str, era: str) -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running({"x": server(stack, downstream)}))
        ann = Person("ann")
        client = await stack.enter_async_context(hub.client(era, "x", **ann.options))
        answer = json_of(await client.call_tool("ask", {"url": "https://login.example"}))
    assert answer["action"] == "accept"
    assert ann.asked == ["url: log in"]


async def test_a_parked_call_can_be_answered_once_and_by_its_own_question() -> None:
    """What a 2026 client sees of a 2025 server that asks: a question as the result, with a sealed state."""
    options = Person("ann").options
    async with running({"x": stdio()}) as hub, hub.client("modern", "x", **options) as client:
        first = await raw_request(client, "tools/call", name="ask", arguments={})
        assert first["resultType"] == "input_required"
        ((key, question),) = first["inputRequests"].items()
        assert question["method"] == "elicitation/create"
        assert question["params"]["message"] == "your name?"
        again = {"name": "ask", "arguments": {}, "requestState": first["requestState"]}
        # No answer yet: the question is asked again, the call goes on waiting.
        second = await raw_request(client, "tools/call", **again, inputResponses={})
        assert second["inputRequests"] == first["inputRequests"]
        again["requestState"] = second["requestState"]
        answers = {key: {"action": "decline"}}
        last = await raw_request(client, "tools/call", **again, inputResponses=answers)
        assert json.loads(last["content"][0]["text"]) == {"action": "decline"}
        with pytest.raises(MCPError, match="not waiting any more"):
            await raw_request(client, "tools/call", **again, inputResponses=answers)
        again["requestState"] = "hub-parked-guessed"
        with pytest.raises(MCPError):
            await raw_request(client, "tools/call", **again, inputResponses=answers)


@pytest.mark.parametrize("downstream", DOWNSTREAMS)
async def test_questions_never_cross_while_two_clients_are_served_at_once(downstream: str) -> None:
    """Over Streamable HTTP a question names its call; a shared pipe does not, so the hub refuses to guess."""
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running({"x": server(stack, downstream)}))
        ann, bob = Person("ann"), Person("bob")
        first = await stack.enter_async_context(hub.client("legacy", "x", **ann.options))
        second = await stack.enter_async_context(hub.client("legacy", "x", **bob.options))
        slow = asyncio.create_task(first.call_tool("slow", {"seconds": 20}))
        await until(lambda: hub.hub._servers["x"]._session.calls)  # type: ignore[union-attr]
        if downstream in ("stdio legacy", "sse legacy"):
            with pytest.raises(MCPError, match="cannot tell which client elicitation/create is meant for"):
                await second.call_tool("ask")
            assert bob.asked == []
        else:
            assert json_of(await second.call_tool("ask"))["content"] == {"name": "bob"}
        assert ann.asked == []
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)


@pytest.mark.parametrize("downstream", DOWNSTREAMS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_question_that_cannot_be_asked_is_refused_by_name(downstream: str, era: str) -> None:
    """A client without the capability is not asked; the server hears why."""
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running({"x": server(stack, downstream)}))
        client = await stack.enter_async_context(hub.client(era, "x"))
        with pytest.raises(MCPError, match=r"does not offer elicitation|not supported"):
            await client.call_tool("ask")


@pytest.mark.parametrize("downstream", ["stdio legacy", "http legacy", "sse legacy"])
async def test_a_2026_client_learns_which_capability_an_older_server_needs(downstream: str) -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running({"x": server(stack, downstream)}))
        client = await stack.enter_async_context(hub.client("modern", "x"))
        with pytest.raises(MCPError, match="server 'x' asked for") as raised:
            await client.call_tool("sample")
        assert raised.value.error.code == MISSING_REQUIRED_CLIENT_CAPABILITY
        assert raised.value.error.data == {"requiredCapabilities": {"sampling": {}}}
        with pytest.raises(MCPError) as other:
            await client.call_tool("fail")
        assert other.value.error.code == -32055, "an error that has nothing to do with it is left alone"


@pytest.mark.parametrize("downstream", ["stdio modern", "http modern"])
@pytest.mark.parametrize("era", ERAS)
async def test_a_2026_server_sees_exactly_what_each_client_can_do(downstream: str, era: str) -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running({"x": server(stack, downstream)}))
        able = await stack.enter_async_context(hub.client(era, "x", list_roots_callback=Person("a").roots))
        bare = await stack.enter_async_context(hub.client(era, "x"))
        assert json_of(await able.call_tool("capabilities")) == {"roots": {"listChanged": True}}
        assert json_of(await bare.call_tool("capabilities")) == {}


@pytest.mark.parametrize("downstream", DOWNSTREAMS)
@pytest.mark.parametrize("era", ERAS)
async def test_cancellation_reaches_the_server(downstream: str, era: str) -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running({"x": server(stack, downstream)}))
        client = await stack.enter_async_context(hub.client(era, "x"))
        other = await stack.enter_async_context(hub.client(era, "x"))
        kept = asyncio.create_task(other.call_tool("slow", {"seconds": 2}))
        call = asyncio.create_task(client.call_tool("slow", {"seconds": 60}))

        async def until_cancelled(expected: str) -> None:
            deadline = time.monotonic() + 10
            while text_of(await client.call_tool("cancelled")) != expected:
                assert time.monotonic() < deadline

        await until_cancelled("0 of 2")
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await until_cancelled("1 of 2")
        assert text_of(await kept) == "slept", "only its own call is cancelled"
        assert text_of(await client.call_tool("cancelled")) == "1 of 2"


@pytest.mark.parametrize("downstream", ["stdio legacy", "http modern"])
async def test_a_silent_server_is_given_up(downstream: str) -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running({"x": server(stack, downstream, timeout=0.4)}))
        client = await stack.enter_async_context(hub.client("modern", "x"))
        began = time.monotonic()
        with pytest.raises(MCPError, match=r"server 'x' gave no sign of life for 0.4 s during tools/call"):
            await client.call_tool("slow", {"seconds": 60})
        assert time.monotonic() - began < 2
        while (told := text_of(await client.call_tool("cancelled"))) != "1 of 1":
            assert time.monotonic() - began < 10, f"the server did not hear that it was given up: {told}"


@pytest.mark.parametrize("downstream", ["http legacy", "http modern", "sse legacy"])
async def test_nothing_of_the_clients_headers_goes_downstream(downstream: str) -> None:
    transport, downstream_era = downstream.split()
    with remote(transport, "--era", downstream_era) as settings:
        own = McpServerSettings.model_validate(
            {**settings.model_dump(exclude_defaults=True), "headers": {"X-Own": "own-token"}}
        )
        async with running({"x": own}) as hub:
            for era in ERAS:
                headers = {
                    "Authorization": "Bearer hub-key",
                    "X-Api-Key": "hub-key-2",
                    "Cookie": "c=hub-key-3",
                }
                async with (
                    create_mcp_http_client(headers=headers) as http,
                    Client(streamable_http_client(hub.url(), http_client=http), mode=MODES[era]) as client,
                ):
                    await client.list_tools()
                    seen = json_of(await client.call_tool("x_headers"))
            assert "hub-key" not in json.dumps(seen)
            assert len(seen) > 3
            assert all(request["x-own"] == "own-token" for request in seen)


@pytest.mark.parametrize("era", ERAS)
async def test_one_session_serves_all_calls_of_all_clients(era: str) -> None:
    with remote("http", "--era", era) as settings:
        async with running({"x": settings}) as hub:
            for _ in range(3):
                async with hub.client("legacy") as old, hub.client("modern") as new:
                    for client in (old, new):
                        await client.list_tools()
                        await client.call_tool("x_echo", {"text": "1"})
            seen = json_of(await hub.hub.call_tool("x_headers", {}))
    methods = [request["method"] for request in seen]
    assert methods.count("initialize") == (1 if era == "legacy" else 0)
    assert methods.count("server/discover") == 1
    assert methods.count("tools/list") == 2, "both pages, once: lists are served from the catalogue"
    assert len({request.get("mcp-session-id") for request in seen[2:]}) == 1


async def test_a_2026_call_runs_no_hidden_listing() -> None:
    """The SDK checks `Mcp-Param-*` headers against a schema; it gets it without a `tools/list`."""
    async with running({"x": stdio()}) as hub, hub.client("modern") as client:
        endpoint = hub.hub._endpoints[""]
        listed = []
        entry = endpoint._server.get_request_handler("tools/list")
        assert entry is not None

        async def counting(context: Any, params: Any) -> Any:
            listed.append(context.method)
            return await entry.handler(context, params)

        endpoint._server.add_request_handler("tools/list", types.PaginatedRequestParams, counting)
        # Raw: the test's client lists tools by itself when it checks a result against its schema.
        result = await raw_request(client, "tools/call", name="x_echo", arguments={"text": "1"})
        assert result["content"][0]["text"] == "1"
        assert listed == []
        lookup = endpoint._server.get_tool_input_schema
        assert lookup is not None
        assert lookup("x_echo") == {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
        }
        await client.list_tools()
        assert listed == ["tools/list"]


@pytest.mark.parametrize("downstream", ["http legacy", "http modern", "sse legacy"])
async def test_a_restarted_remote_server_is_found_again(downstream: str) -> None:
    transport, era = downstream.split()
    port = free_port()
    with ExitStack() as first:
        settings = first.enter_context(remote(transport, "--era", era, port=port))
        async with running({"x": settings}) as hub, hub.client("modern") as client:
            assert text_of(await client.call_tool("x_echo", {"text": "1"})) == "1"
            first.close()
            with remote(transport, "--era", era, port=port):
                # Not safe to repeat: it is sent a second time only because the first was refused.
                assert text_of(await client.call_tool("x_verbatim", {"a": 1})) == '{"a": 1}'
            with pytest.raises(MCPError, match=r"'x'|127\.0\.0\.1"):
                await asyncio.wait_for(client.call_tool("x_verbatim", {"a": 1}), 10)


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_x_mcp_headers_of_2026_servers_are_mirrored(transport: str) -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running({"x": server(stack, f"{transport} modern")}))
        client = await stack.enter_async_context(hub.client("modern", "x"))
        assert text_of(await client.call_tool("echo", {"text": "é"})) == "é"
        if transport == "http":
            (call,) = [r for r in json_of(await client.call_tool("headers")) if r.get("mcp-name") == "echo"]
            assert call["mcp-method"] == "tools/call"
            assert call["mcp-protocol-version"] == "2026-07-28"


async def test_progress_keeps_a_slow_call_alive() -> None:
    program = """
import json, sys, time
def say(**m): print(json.dumps({"jsonrpc": "2.0", **m}), flush=True)
for line in sys.stdin:
    m = json.loads(line)
    if m["method"] == "initialize":
        info = {"name": "s", "version": "1"}
        has = {"tools": {}}
        say(id=m["id"], result={"protocolVersion": "2025-06-18", "capabilities": has, "serverInfo": info})
    elif m["method"] == "tools/list":
        tool = {"name": "t", "inputSchema": {"type": "object"}, "future": {"x": None}}
        say(id=m["id"], result={"tools": [tool]})
    elif m["method"] == "tools/call":
        for n in range(6):
            time.sleep(0.2)
            params = {"progressToken": m["params"]["_meta"]["progressToken"], "progress": n, "extra": 1}
            say(method="notifications/progress", params=params)
        say(id=m["id"], result={"content": [], "future": [1]})
    elif "id" in m:
        say(id=m["id"], error={"code": -32601, "message": "no"})
"""
    settings = McpServerSettings.model_validate(
        {"command": "python3", "args": ["-c", program], "timeout": 0.6}
    )
    async with running({"x": settings}) as hub, httpx.AsyncClient(timeout=10) as http:
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }

        async def post(method: str, **params: Any) -> list[Any]:
            headers = {
                "accept": "application/json, text/event-stream",
                "mcp-protocol-version": "2026-07-28",
                "mcp-method": method,
            }
            if "name" in params:
                headers["mcp-name"] = params["name"]
            body = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": method,
                "params": {**params, "_meta": {**meta, "progressToken": 7}},
            }
            answer = await http.post(hub.url("x"), json=body, headers=headers)
            lines = [x[6:] for x in answer.text.splitlines() if x.startswith("data: ")]
            return [json.loads(x) for x in lines or [answer.text]]

        (listed,) = await post("tools/list")
        assert listed["result"]["tools"][0]["future"] == {"x": None}, "what no model knows is kept"
        *notes, answer = await post("tools/call", name="t", arguments={})
        assert [note["params"] for note in notes] == [
            {"progressToken": 7, "progress": n, "extra": 1} for n in range(6)
        ], "in order, complete, before the result"
        assert answer["result"]["future"] == [1]


async def test_no_credential_of_a_remote_server_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), remote("http") as settings:
        secret = McpServerSettings.model_validate(
            {
                "url": f"{settings.url}?token=secret-in-url",
                "headers": {"Authorization": "Bearer secret-header"},
            }
        )
        refused = McpServerSettings.model_validate(
            {"url": "http://user:secret-password@127.0.0.1:9/mcp?token=secret-in-url"}
        )
        async with running({"x": secret, "refused": refused}) as hub:
            await hub.hub.call_tool("x_echo", {"text": "1"})
            rows = hub.hub.status()
    assert [row.state for row in rows] == ["ready", "failed"]
    assert "secret" not in caplog.text + repr(rows)
