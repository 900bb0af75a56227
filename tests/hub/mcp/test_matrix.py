"""Every feature of MCP x client era x server era x the server's transport, through real processes.

A cell passes, or it is one of `IMPOSSIBLE`: then the specification says why, and the test says what happens.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import product
from typing import Any

import mcp_types as types
import pytest
import pytest_asyncio
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND

from tests.hub.mcp.harness import (
    ERAS,
    Running,
    json_of,
    listening,
    raw_request,
    remote,
    running,
    stdio,
    text_of,
    until,
)
from tests.hub.mcp.impossible import IMPOSSIBLE, NO_SSE
from tests.hub.mcp.test_calls import Person
from tests.servers.everything import BLOB, ICON, LINK_RESULT, TASKS

TRANSPORTS = ("stdio", "http", "sse")
SERVERS = ("stdio_legacy", "stdio_modern", "http_legacy", "http_modern", "sse_legacy")


@dataclass(frozen=True, slots=True)
class Cell:
    """`name` is the endpoint of one server, which has that server's own names."""

    hub: Running
    client_era: str
    server: str

    @property
    def server_era(self) -> str:
        return self.server.partition("_")[2]

    def client(self, **options: Any) -> Client:
        return self.hub.client(self.client_era, self.server, **options)


Check = Callable[[Cell], Awaitable[None]]
FEATURES: dict[str, Check] = {}


def feature(name: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        FEATURES[name] = check
        return check

    return register


@feature("elicitation, form")
async def elicitation_form(cell: Cell) -> None:
    ann = Person("ann")
    async with cell.client(**ann.options) as client:
        answer = json_of(await client.call_tool("ask"))
    assert (answer["action"], answer["content"]) == ("accept", {"name": "ann"})
    assert ann.asked == ["form: your name?"]


@feature("elicitation, URL")
async def elicitation_url(cell: Cell) -> None:
    ann = Person("ann")
    async with cell.client(**ann.options) as client:
        answer = json_of(await client.call_tool("ask", {"url": "https://login.example"}))
    assert answer["action"] == "accept"
    assert ann.asked == ["url: log in"]


@feature("sampling")
async def sampling(cell: Cell) -> None:
    async with cell.client(**Person("ann").options) as client:
        answer = json_of(await client.call_tool("sample"))
    assert (answer["content"]["text"], answer["model"], answer["role"]) == ("ann", "m", "assistant")


@feature("roots")
async def roots(cell: Cell) -> None:
    async with cell.client(**Person("ann").options) as client:
        answer = json_of(await client.call_tool("roots"))
    assert [root["uri"] for root in answer["roots"]] == ["file:///ann"]


@feature("progress")
async def progress(cell: Cell) -> None:
    heard: list[Any] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total, message))

    async with cell.client() as client:
        await client.call_tool("progress", {"steps": 4}, progress_callback=on_progress)
    # The test's client handles each notification in a task of its own, so only the set is certain.
    assert sorted(heard) == [(step, 4, f"step {step}") for step in range(1, 5)]


@feature("logging")
async def logging(cell: Cell) -> None:
    heard: list[str] = []

    async def on_log(params: types.LoggingMessageNotificationParams) -> None:
        heard.append(f"{params.level}: {params.data}")

    async with cell.client(logging_callback=on_log, log_level="warning") as client:
        await client.call_tool("log", {"id": 1})
        await until(lambda: heard)
    assert "warning: warning {'id': 1}" in heard
    if cell.client_era == "modern":
        assert len(heard) == 1, "the level that the client asked for"


@feature("cancellation")
async def cancellation(cell: Cell) -> None:
    async with cell.client() as client:

        async def counts() -> tuple[int, int]:
            cancelled, started = text_of(await client.call_tool("cancelled")).split(" of ")
            return int(cancelled), int(started)

        async def until_counts(expected: tuple[int, int]) -> None:
            async with asyncio.timeout(10):
                while await counts() != expected:
                    pass

        cancelled, started = await counts()
        call = asyncio.create_task(client.call_tool("slow", {"seconds": 60}))
        await until_counts((cancelled, started + 1))
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await until_counts((cancelled + 1, started + 1))


@feature("resource subscriptions and updates")
async def subscriptions(cell: Cell) -> None:
    uri = f"test://dyn/{cell.client_era}"
    async with AsyncExitStack() as stack:
        heard = await stack.enter_async_context(
            listening(cell.hub, cell.client_era, cell.server, resource_subscriptions=[uri])
        )
        other = await stack.enter_async_context(listening(cell.hub, cell.client_era, cell.server))
        client = await stack.enter_async_context(cell.client())
        async with asyncio.timeout(10):
            while not heard:  # the server learns of the subscription a moment after the client has it
                await client.call_tool("touch", {"uri": uri})
                await client.call_tool("touch", {"uri": "test://dyn/unwatched"})
                await asyncio.sleep(0.02)
        assert set(heard) == {f"updated {uri}"}
        assert other == []


def list_change(kind: str) -> None:
    """A list change of one kind is heard of, and the list shows it."""

    @feature(f"list changes of {kind}s")
    async def changes(cell: Cell) -> None:
        name, heard_once = f"new_{kind}_{cell.client_era}", [f"{kind}s"]

        async def names() -> list[str]:
            listed = await raw_request(client, f"{kind}s/list")
            return [item["name"] for item in listed[f"{kind}s"]]

        async with listening(cell.hub, cell.client_era, cell.server) as heard, cell.client() as client:
            await client.call_tool(f"add_{kind}", {"name": name})
            await until(lambda: heard == heard_once)
            assert name in await names()
            await client.call_tool(f"remove_{kind}", {"name": name})
            await until(lambda: heard == heard_once * 2)
            assert name not in await names()


for _kind in ("tool", "resource", "prompt"):
    list_change(_kind)


@feature("pagination")
async def pagination(cell: Cell) -> None:
    """The server has two pages; the hub has read both, has one of its own, and no other cursor."""
    async with cell.client() as client:
        listed = await raw_request(client, "tools/list")
        names = [tool["name"] for tool in listed["tools"]]
        assert (names[0], names[-1][:6]) == ("echo", "a_tool")
        assert len(set(names)) == len(names)
        assert "nextCursor" not in listed
        with pytest.raises(MCPError, match="unknown cursor"):
            await raw_request(client, "tools/list", cursor="second")


@feature("_meta")
async def meta(cell: Cell) -> None:
    async with cell.client() as client:
        seen = json_of(await client.call_tool("meta", meta={"example.com/trace": {"t": [1]}}))
        back = await raw_request(client, "tools/call", name="link", arguments={})
        (tool,) = [one for one in (await raw_request(client, "tools/list"))["tools"] if one["name"] == "meta"]
    assert seen["example.com/trace"] == {"t": [1]}
    assert back["_meta"]["example.com/trace"] == "abc"
    assert back["content"][0]["_meta"] == {"k": 1}
    assert tool["_meta"] == {"example.com/vendor": {"n": 1}}


@feature("structured content")
async def structured(cell: Cell) -> None:
    async with cell.client() as client:
        result = await client.call_tool("link")
    assert result.structured_content == LINK_RESULT["structuredContent"]


@feature("icons and annotations")
async def icons(cell: Cell) -> None:
    async with cell.client() as client:
        tools = {tool["name"]: tool for tool in (await raw_request(client, "tools/list"))["tools"]}
        (greet, *_) = (await raw_request(client, "prompts/list"))["prompts"]
        result = await raw_request(client, "tools/call", name="link", arguments={})
    assert tools["echo"]["icons"] == greet["icons"] == [ICON]
    assert tools["echo"]["annotations"] == {"readOnlyHint": True, "destructiveHint": False}
    assert result["content"][0]["annotations"] == {"audience": ["user"], "priority": 0.5}


@feature("cache hints")
async def cache_hints(cell: Cell) -> None:
    """The hub's lists change whenever a server comes or goes; of what is read, the server knows best."""
    async with cell.client() as client:
        listed = await raw_request(client, "resources/list")
        read = await raw_request(client, "resources/read", uri="test://dyn/binary")
    hints = [(answer.get("ttlMs"), answer.get("cacheScope")) for answer in (listed, read)]
    if ("cache hints", cell.client_era, cell.server_era) in IMPOSSIBLE:
        assert hints == [(None, None), (None, None)]
    else:
        own = (0, "private")
        assert hints == [own, (5000, "public") if cell.server_era == "modern" else own]


@feature("completions")
async def completions(cell: Cell) -> None:
    async with cell.client() as client:
        prompt = types.PromptReference(type="ref/prompt", name="greet")
        template = types.ResourceTemplateReference(type="ref/resource", uri="test://dyn/{id}")
        for reference, name, expected in (
            (prompt, "who", "greet:w!"),
            (template, "id", "test://dyn/{id}:w!"),
        ):
            found = await client.complete(reference, {"name": name, "value": "w"})
            assert (found.completion.values, found.completion.total) == ([expected], 1)


@feature("binary resources")
async def binary(cell: Cell) -> None:
    async with cell.client() as client:
        (content,) = (await client.read_resource("test://dyn/binary")).contents
    assert isinstance(content, types.BlobResourceContents)
    assert (content.blob, content.mime_type) == (BLOB, "application/octet-stream")


@feature("tasks")
async def tasks(cell: Cell) -> None:
    """On the endpoint of all servers, where ids say whose they are; each client in the way of its era."""
    tool = f"{cell.server}_task"
    async with cell.hub.client(cell.client_era) as client:
        extension = {"io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}}}
        if ("tasks", cell.client_era, cell.server_era) in IMPOSSIBLE:
            more: dict[str, Any] = {"task": {}} if cell.client_era == "legacy" else {"_meta": extension}
            answer = await request(client, "tools/call", name=tool, arguments={}, **more)
            assert answer["content"][0]["text"] == "done at once"
            with pytest.raises(MCPError, match="Unknown task"):
                await request(client, "tasks/get", taskId="task-1", _meta=extension)
        elif cell.client_era == "legacy":
            await task_of_2025(client, tool)
        else:
            await task_of_2026(client, tool, extension)


async def task_of_2025(client: Client, tool: str) -> None:
    capabilities = client.session.server_capabilities
    assert capabilities is not None
    assert capabilities.model_dump(exclude_none=True)["tasks"]["requests"] == {"tools": {"call": {}}}
    call = {"name": tool, "arguments": {}, "task": {"ttl": 60000}}
    task = (await raw_request(client, "tools/call", **call))["task"]
    assert (await raw_request(client, "tasks/get", taskId=task["taskId"])) == task
    result = await raw_request(client, "tasks/result", taskId=task["taskId"])
    assert result["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": task["taskId"]}
    (content,) = (await client.read_resource(result["content"][0]["uri"])).contents
    assert isinstance(content, types.TextResourceContents)
    cancelled = (await raw_request(client, "tools/call", **call))["task"]["taskId"]
    assert (await raw_request(client, "tasks/cancel", taskId=cancelled))["status"] == "cancelled"
    with pytest.raises(MCPError, match="does not list tasks") as refused:
        await raw_request(client, "tasks/list")
    assert refused.value.code == METHOD_NOT_FOUND


async def task_of_2026(client: Client, tool: str, extension: dict[str, Any]) -> None:
    discovered = await raw_request(client, "server/discover")
    assert discovered["capabilities"]["extensions"][TASKS] == {}

    async def ask(method: str, **params: Any) -> dict[str, Any]:
        return await request(client, method, **params, _meta=extension)

    created = await ask("tools/call", name=tool, arguments={})
    assert (created["resultType"], created["status"]) == ("task", "working")
    waiting = await ask("tasks/get", taskId=created["taskId"])
    assert (waiting["resultType"], waiting["status"]) == ("complete", "input_required")
    assert waiting["taskId"] == created["taskId"]
    ((key, question),) = waiting["inputRequests"].items()
    assert question["method"] == "elicitation/create"
    answers = {key: {"action": "accept", "content": {"name": "ann"}}}
    await ask("tasks/update", taskId=created["taskId"], inputResponses=answers)
    done = await ask("tasks/get", taskId=created["taskId"])
    assert (done["status"], done["result"]["structuredContent"]) == ("completed", answers)
    (content,) = (await client.read_resource(done["result"]["content"][0]["uri"])).contents
    assert isinstance(content, types.TextResourceContents)
    with pytest.raises(MCPError, match="does not offer io"):
        await raw_request(client, "tasks/get", taskId=created["taskId"])
    other = (await ask("tools/call", name=tool, arguments={}))["taskId"]
    await ask("tasks/cancel", taskId=other)
    assert (await ask("tasks/get", taskId=other))["status"] == "cancelled"


async def request(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """`raw_request` with a `_meta` that stays beside what the client puts there."""
    meta = params.pop("_meta", {})
    data: dict[str, Any] = {"method": method, "params": params}
    options: Any = {}
    client.session._stamp(data, options)
    envelope = data["params"].setdefault("_meta", {}) if meta else {}
    if method.startswith("tasks/") and "headers" in options:
        options["headers"]["Mcp-Name"] = params["taskId"]
    for key, value in meta.items():
        envelope[key] = {**envelope.get(key, {}), **value}
    return await client.session._dispatcher.send_raw_request(method, data["params"], options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Running]:
    async with AsyncExitStack() as stack:
        servers = {}
        for name in SERVERS:
            transport, era = name.split("_")
            options = ("--era", era, "--prefix", name)
            if transport == "stdio":
                servers[name] = stdio(*options)
            else:
                servers[name] = stack.enter_context(remote(transport, *options))
        yield await stack.enter_async_context(running(servers))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("name", FEATURES)
async def test_cell(hub: Running, name: str, era: str, server: str) -> None:
    await FEATURES[name](Cell(hub, era, server))


@pytest.mark.asyncio(loop_scope="module")
async def test_sse_is_of_the_handshake_era(hub: Running) -> None:
    """The one combination of transport and era that is missing, for every feature: see `NO_SSE`."""
    missing = {f"{transport}_{era}" for transport, era in product(TRANSPORTS, ERAS)} - set(SERVERS)
    assert missing == {"sse_modern"}, NO_SSE
    with remote("sse", "--era", "modern") as settings:
        async with running({"x": settings}) as other:
            (row,) = other.hub.status()
    assert (row.state, row.protocol_version) == ("ready", "2025-11-25")
    versions = {row.name: row.protocol_version for row in hub.hub.status()}
    assert versions == {n: "2026-07-28" if n.endswith("modern") else "2025-11-25" for n in SERVERS}


def test_what_is_impossible_is_a_feature_and_has_its_reason() -> None:
    for (name, client_era, server_era), reason in IMPOSSIBLE.items():
        assert name in FEATURES
        assert {client_era, server_era} <= set(ERAS)
        assert "2025-11-25" in reason or "2026-07-28" in reason, json.dumps(reason)
