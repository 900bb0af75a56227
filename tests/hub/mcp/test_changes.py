"""Who is told when servers, settings and lists change: both eras, once for each kind, nobody else."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from mcp.shared.exceptions import MCPError

from hub.settings.mcp import ProfileSettings
from tests.hub.mcp.harness import (
    ERAS,
    Running,
    alive,
    children,
    json_of,
    listening,
    raw_request,
    remote,
    running,
    stdio,
    text_of,
    until,
)

QUIET_SECONDS = 0.3
"""Long enough for a second notification (the debounce is 20 ms) to show up."""
ALL_KINDS = ["prompts", "resources", "tools"]


async def quiet() -> None:
    await asyncio.sleep(QUIET_SECONDS)


@pytest.fixture
async def two() -> AsyncIterator[Running]:
    servers = {"a": stdio("--prefix", "a"), "b": stdio("--era", "modern", "--prefix", "b")}
    profiles = {"only_a": ProfileSettings(servers=("a",)), "only_b": ProfileSettings(servers=("b",))}
    async with running(servers, profiles) as hub:
        yield hub


async def listeners(stack: AsyncExitStack, hub: Running, *names: str) -> dict[str, list[str]]:
    heard = {}
    for name in names:
        for era in ERAS:
            heard[f"{era} {name}".strip()] = await stack.enter_async_context(listening(hub, era, name))
    return heard


async def test_one_change_of_the_settings_tells_each_client_once() -> None:
    """Adds one server, removes one, edits one. What is new runs already, so it is up within the grace."""
    with (
        remote("http", "--prefix", "one") as one,
        remote("http", "--era", "modern", "--prefix", "two") as two,
    ):
        servers = {"a": stdio("--prefix", "a"), "b": stdio("--prefix", "b"), "c": one}
        profiles = {"only_a": ProfileSettings(servers=("a",)), "only_c": ProfileSettings(servers=("c",))}
        async with running(servers, profiles) as hub, AsyncExitStack() as stack:
            heard = await listeners(stack, hub, "", "only_a", "a", "only_c")
            await quiet()
            assert not any(heard.values())
            before = {row.name: row.pid for row in hub.hub.status()}
            began = asyncio.get_running_loop().time()
            await hub.hub.apply({"a": servers["a"], "c": two, "d": one}, profiles)
            await until(lambda: all(len(heard[era]) == 3 for era in ERAS))
            assert asyncio.get_running_loop().time() - began < 2
            await quiet()
            after = {row.name: row.pid for row in hub.hub.status()}
    assert sorted(heard["legacy"]) == sorted(heard["modern"]) == ALL_KINDS
    assert heard["legacy only_c"] == heard["modern only_c"] == ["tools"], "descriptions have the new prefix"
    for name in ("legacy only_a", "modern only_a", "legacy a", "modern a"):
        assert heard[name] == []
    assert after["a"] == before["a"], "an unchanged server keeps its process"
    assert set(after) == {"a", "c", "d"}


async def test_removing_a_server_is_told_at_once_and_its_process_ends(two: Running) -> None:
    (pid,) = [row.pid for row in two.hub.status() if row.name == "b"]
    assert pid is not None
    async with AsyncExitStack() as stack:
        heard = await listeners(stack, two, "", "only_a", "only_b")
        began = asyncio.get_running_loop().time()
        await two.hub.apply({"a": stdio("--prefix", "a")}, {"only_a": ProfileSettings(servers=("a",))})
        await until(lambda: len(heard["legacy"]) == 3 and len(heard["modern"]) == 3)
        took = asyncio.get_running_loop().time() - began
        assert took < 0.5
        async with two.client("legacy") as client:
            assert all(tool.name.startswith("a_") for tool in (await client.list_tools()).tools)
        await quiet()
        assert heard["legacy only_a"] == heard["modern only_a"] == []

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await until(gone)


async def test_a_change_of_a_profile_tells_its_own_clients(two: Running) -> None:
    servers = {"a": stdio("--prefix", "a"), "b": stdio("--era", "modern", "--prefix", "b")}
    async with AsyncExitStack() as stack:
        heard = await listeners(stack, two, "", "only_a", "only_b")
        changed = {
            "only_a": ProfileSettings(servers=("a",), tools={"exclude": ["a_fail"]}),
            "only_b": ProfileSettings(servers=("b",)),
        }
        await two.hub.apply(servers, changed)
        await until(lambda: heard["legacy only_a"] and heard["modern only_a"])
        await quiet()
    assert heard["legacy only_a"] == heard["modern only_a"] == ["tools"]
    assert not any(heard[f"{era}{name}"] for era in ERAS for name in ("", " only_b"))


async def test_a_late_server_is_pushed(two: Running) -> None:
    servers = {"a": stdio("--prefix", "a"), "b": stdio("--era", "modern", "--prefix", "b")}
    async with AsyncExitStack() as stack:
        heard = await listeners(stack, two, "")
        await two.hub.apply({**servers, "late": stdio("--delay", "1.5")}, {})
        assert {row.name: row.state for row in two.hub.status()}["late"] == "starting"
        await until(lambda: heard["legacy"] and heard["modern"])
        await quiet()
        assert sorted(heard["legacy"]) == sorted(heard["modern"]) == ALL_KINDS
        async with two.client("modern") as client:
            assert "late_echo" in {tool.name for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize(
    "downstream", ["stdio legacy", "stdio modern", "http legacy", "http modern", "sse legacy"]
)
async def test_a_downstream_change_is_pushed_on(downstream: str) -> None:
    transport, era = downstream.split()
    async with AsyncExitStack() as stack:
        if transport == "stdio":
            settings = stdio("--era", era)
        else:
            settings = stack.enter_context(remote(transport, "--era", era))
        hub = await stack.enter_async_context(
            running({"x": settings, "y": stdio()}, {"only_y": ProfileSettings(servers=("y",))})
        )
        heard = await listeners(stack, hub, "", "x", "only_y")
        # The stream for notifications of a 2025 HTTP server opens just after the handshake.
        await quiet()
        async with hub.client("legacy", "x") as client:
            await client.call_tool("add_tool", {"name": "brand_new"})
        await until(lambda: all(heard[f"{e}{n}"] for e in ERAS for n in ("", " x")))
        await quiet()
        assert {name: messages for name, messages in heard.items() if messages} == {
            f"{e}{n}": ["tools"] for e in ERAS for n in ("", " x")
        }
        async with hub.client("modern") as client:
            assert "x_brand_new" in {tool.name for tool in (await client.list_tools()).tools}
            assert text_of(await client.call_tool("x_brand_new")) == "ran brand_new"


@pytest.mark.parametrize("downstream", ["stdio legacy", "stdio modern", "http legacy", "http modern"])
@pytest.mark.parametrize("shared", [True, False])
async def test_resource_updates_reach_their_subscribers(downstream: str, shared: bool) -> None:
    transport, era = downstream.split()
    async with AsyncExitStack() as stack:
        settings = (
            stdio("--era", era)
            if transport == "stdio"
            else stack.enter_context(remote(transport, "--era", era))
        )
        hub = await stack.enter_async_context(running({"x": settings}))
        name, uri = ("", "hub://x/test://static") if shared else ("x", "test://static")
        heard = [
            await stack.enter_async_context(listening(hub, e, name, resource_subscriptions=[uri]))
            for e in ERAS
        ]
        silent = [await stack.enter_async_context(listening(hub, e, name)) for e in ERAS]
        await quiet()
        async with hub.client("modern", "x") as client:
            if era == "legacy":
                # Two subscribers of the hub are one subscription to the server.
                assert json_of(await client.call_tool("subscriptions")) == ["test://static"]
            await client.call_tool("touch", {"uri": "test://static"})
            await client.call_tool("touch", {"uri": "test://dyn/1"})
        await until(lambda: all(heard))
        await quiet()
        assert heard == [[f"updated {uri}"]] * 2
        assert silent == [[], []]


async def test_the_last_unsubscriber_ends_the_subscription() -> None:
    async with running({"x": stdio()}) as hub, hub.client("legacy", "x") as client:

        async def subscribed() -> list[str]:
            return list(json_of(await client.call_tool("subscriptions")))

        async def until_subscribed(expected: list[str]) -> None:
            for _ in range(200):
                if await subscribed() == expected:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError(f"never {expected}")

        await raw_request(client, "resources/subscribe", uri="test://static")
        await until_subscribed(["test://static"])
        async with hub.client("legacy", "x") as other:
            await raw_request(other, "resources/subscribe", uri="test://static")
            await raw_request(client, "resources/unsubscribe", uri="test://static")
            assert await subscribed() == ["test://static"]
        # The other one left without a word.
        await until_subscribed([])


@pytest.mark.parametrize("downstream", ERAS)
async def test_subscriptions_outlive_a_crash_and_an_edit(downstream: str) -> None:
    uri = "hub://x/test://static"
    async with running({"x": stdio("--era", downstream)}) as hub, AsyncExitStack() as stack:
        heard = [
            await stack.enter_async_context(listening(hub, era, resource_subscriptions=[uri])) for era in ERAS
        ]

        async def touch_until_heard() -> None:
            for messages in heard:
                messages.clear()
            # The new process learns of the subscription a moment after it is ready.
            for _ in range(100):
                await hub.hub.call_tool("x_touch", {"uri": "test://static"})
                if all(heard):
                    break
                await asyncio.sleep(0.05)
            assert all(f"updated {uri}" in messages for messages in heard)

        await touch_until_heard()
        os.kill(int(text_of(await hub.hub.call_tool("x_pid", {}))), signal.SIGKILL)
        await touch_until_heard()
        await hub.hub.apply({"x": stdio("--era", downstream, "--prefix", "edited")}, {})
        await hub.hub.wait_settled(10)
        await touch_until_heard()


async def test_a_removed_server_finishes_its_calls_and_does_not_hold_up_the_end() -> None:
    async with running({"x": stdio()}) as hub, hub.client("modern") as client, hub.client("modern") as other:
        (row,) = hub.hub.status()
        short = asyncio.create_task(client.call_tool("x_slow", {"seconds": 0.5}))
        long = asyncio.create_task(other.call_tool("x_slow", {"seconds": 60}))
        await until(lambda: hub.hub._servers["x"]._in_flight == 2)
        await hub.hub.apply({}, {})
        assert hub.hub.status() == []
        assert text_of(await short) == "slept"
        assert row.pid is not None
        os.kill(row.pid, 0)
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)
        again = asyncio.create_task(hub.hub.call_tool("x_echo", {"text": "1"}))
        with pytest.raises(MCPError, match="Unknown tool: x_echo"):
            await again


async def test_leaving_in_the_middle_of_a_change_leaves_no_process_behind() -> None:
    async with running({"x": stdio()}) as hub:
        change = asyncio.create_task(hub.hub.apply({"slow": stdio("--delay", "30")}, {}))
        await until(lambda: len(children(os.getpid())) >= 3)
        change.cancel()
        await asyncio.gather(change, return_exceptions=True)
        family = children(os.getpid())
        assert [row.name for row in hub.hub.status()] == ["x"], "what was served before is served still"
    assert not any(alive(pid) for pid in family)


async def test_what_happens_before_the_stream_is_open_is_told_then() -> None:
    """A client that opens its GET stream late hears of what changed since its handshake, once."""
    import httpx

    async with running({"a": stdio()}) as hub, httpx.AsyncClient(timeout=10) as http:
        headers = {"accept": "application/json, text/event-stream"}
        begin = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "t", "version": "1"},
            },
        }
        answer = await http.post(hub.url(), json=begin, headers=headers)
        headers["mcp-session-id"] = answer.headers["mcp-session-id"]
        done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await http.post(hub.url(), json=done, headers=headers)).status_code == 202
        await hub.hub.apply({}, {})
        await quiet()
        heard = []
        async with http.stream("GET", hub.url(), headers=headers) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: {"):
                    heard.append(line)
                if len(heard) == 3:
                    break
        assert all("list_changed" in line for line in heard)
        assert len(set(heard)) == 3
