"""find_tools, describe_tool, call_tool: with real servers, clients of both eras, and keys."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from mcp import Client
from mcp.shared.exceptions import MCPError

from hub.app import Hub
from hub.settings import load_settings
from hub.settings.mcp import DiscoverySettings, ProfileSettings
from hub.usage.records import ToolRecord
from tests.hub.mcp.harness import (
    ERAS,
    EVERYTHING,
    Running,
    json_of,
    listening,
    raw_request,
    running,
    stdio,
    text_of,
    until,
)
from tests.hub.mcp.test_calls import Person
from tests.servers.everything import LINK_RESULT, VERBATIM_SCHEMA, Everything

DISCOVERY = ["find_tools", "describe_tool", "call_tool"]
PROFILES = {
    "agent": {
        "discovery": "search",
        "pinned": "*_echo",
        "tools": {"exclude": "*_fail", "rename": {"new_verbatim": "exact"}},
    },
    "old": {"servers": ["old"], "discovery": "search"},
}
TOLD: list[ToolRecord] = []
COUNT = len(Everything("legacy", "").tools())
"""Of each server; one of them fails."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Running]:
    servers = {
        "old": stdio("--prefix", "old"),
        "new": stdio("--era", "modern", "--prefix", "new"),
        "off": stdio(disabled=True),
    }
    profiles = {name: ProfileSettings.model_validate(settings) for name, settings in PROFILES.items()}
    async with running(servers, profiles, sink=TOLD.append) as hub:
        yield hub


pytestmark = pytest.mark.asyncio(loop_scope="module")
eras = pytest.mark.parametrize("era", ERAS)


async def find(client: Client, **arguments: Any) -> tuple[list[str], str]:
    result = await client.call_tool("find_tools", arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return [tool["name"] for tool in result.structured_content["tools"]], text_of(result)


async def call(client: Client, name: str, **arguments: Any) -> Any:
    return await client.call_tool("call_tool", {"name": name, "arguments": arguments})


@eras
async def test_find_describe_call(hub: Running, era: str) -> None:
    async with hub.client(era, "agent") as client:
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == [*DISCOVERY, "old_echo", "new_echo"]
        found, said = await find(client, query="ecko", server="old")
        assert found[0] == "old_echo"
        assert '"ecko"; taken as "echo"' in said
        assert "old_echo(text*: string): echo of old" in said
        described = await client.call_tool("describe_tool", {"name": "old_echo"})
        assert described.structured_content == json_of(described)
        assert described.structured_content["inputSchema"]["required"] == ["text"]
        assert text_of(await call(client, "old_echo", text="hello")) == "oldhello"


@eras
async def test_the_full_definition_is_told(hub: Running, era: str) -> None:
    async with hub.client(era, "agent") as client:
        described = await client.call_tool("describe_tool", {"name": "exact"})
    assert described.structured_content is not None
    assert described.structured_content["name"] == "exact"
    assert described.structured_content["inputSchema"] == VERBATIM_SCHEMA


@eras
@pytest.mark.parametrize("server", ["old", "new"])
async def test_questions_and_progress_pass(hub: Running, era: str, server: str) -> None:
    ann, seen = Person("ann"), []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append(done)

    async with hub.client(era, "agent", **ann.options) as client:
        assert json_of(await call(client, f"{server}_ask"))["content"] == {"name": "ann"}
        assert json_of(await call(client, f"{server}_roots"))["roots"][0]["uri"] == "file:///ann"
        assert json_of(await call(client, f"{server}_sample"))["content"]["text"] == "ann"
        arguments = {"name": f"{server}_progress", "arguments": {}}
        await client.call_tool("call_tool", arguments, progress_callback=progress)
    assert ann.asked == ["form: your name?", "roots", "sample"]
    assert seen == sorted(seen) != []


@eras
async def test_results_are_those_of_a_direct_call(hub: Running, era: str) -> None:
    async with hub.client(era, "agent") as client:
        direct = await raw_request(client, "tools/call", name="old_link", arguments={})
        through = await raw_request(
            client, "tools/call", name="call_tool", arguments={"name": "old_link", "arguments": {}}
        )
    assert through == direct
    assert through["structuredContent"] == LINK_RESULT["structuredContent"]


@eras
async def test_what_is_wrong_is_said_to_the_model(hub: Running, era: str) -> None:
    async with hub.client(era, "agent") as client:
        for name, arguments, message in (
            ("find_tools", {}, "give a `query`, a `server`, or both"),
            ("find_tools", {"query": 5}, "`query` must be a text"),
            ("find_tools", {"query": "x", "limit": "many"}, "`limit` must be a whole number"),
            ("find_tools", {"server": "nowhere"}, "there is no server `nowhere`"),
            ("describe_tool", {}, "`name` must be a tool's name"),
            ("describe_tool", {"name": "old_ecko"}, "Did you mean old_echo"),
            ("call_tool", {"name": "new_verbatim"}, "there is no tool `new_verbatim` for you"),
            ("call_tool", {"name": "old_fail"}, "there is no tool `old_fail` for you"),
            ("call_tool", {"name": "find_tools"}, "there is no tool `find_tools` for you"),
            ("call_tool", {"name": "old_echo", "arguments": [1]}, "`arguments` must be an object"),
            ("call_tool", {"name": "old_echo", "arguments": "{"}, "`arguments` must be an object"),
        ):
            result = await client.call_tool(name, arguments)
            assert result.is_error, (name, arguments)
            assert message in text_of(result)
        with pytest.raises(MCPError, match="Unknown tool: old_fail"):
            await client.call_tool("old_fail")


async def test_arguments_as_text_are_taken_too(hub: Running) -> None:
    async with hub.client("modern", "agent") as client:
        answer = await client.call_tool("call_tool", {"name": "old_echo", "arguments": '{"text": "x"}'})
    assert text_of(answer) == "oldx"


async def test_a_tool_that_is_not_listed_can_be_called_directly(hub: Running) -> None:
    async with hub.client("modern", "agent") as client:
        assert int(text_of(await client.call_tool("old_pid"))) > 0


async def test_why_nothing_was_found(hub: Running) -> None:
    async with hub.client("modern", "agent") as client:
        found, said = await find(client, query="xylophone")
        assert found == []
        assert 'No tool for "xylophone".' in said
        assert 'No tool has "xylophone", nor a word like it.' in said
        assert f"There are tools of these servers: old ({COUNT - 1}), new ({COUNT - 1})." in said
        assert "they are not up: off (disabled)" in said
        found, said = await find(client, query="fail")
        assert found == []
        assert "2 more would match, but you may not use them (hidden by: tools.exclude 2)." in said
        assert "_fail" not in said, "how many, not which"


async def test_pages(hub: Running) -> None:
    async with hub.client("modern", "agent") as client:
        first, said = await find(client, server="new", limit=15)
        rest, _ = await find(client, server="new", limit=15, offset=15)
        none, beyond = await find(client, server="new", offset=99)
    assert f"{COUNT - 1} tools of server new, here 1 to 15" in said
    assert (len(first), len(rest), none) == (15, COUNT - 1 - 15, [])
    assert len({*first, *rest}) == COUNT - 1
    assert "passes over all" in beyond


async def test_servers_of_other_profiles_are_not_told_of(hub: Running) -> None:
    async with hub.client("modern", "old") as client:
        listed = await client.list_tools()
        assert f"old ({COUNT})." in str(listed.tools[0].description)
        found, said = await find(client, query="echo")
    assert found == ["old_echo"]
    assert "new" not in said
    assert "off" not in said
    assert "1 more would match, but you may not use them (hidden by: servers 1)." in said


async def test_each_call_is_told_once(hub: Running) -> None:
    TOLD.clear()
    async with hub.client("modern", "agent") as client:
        await find(client, query="echo")
        await call(client, "old_echo", text="x")
        await call(client, "old_ecko", text="x")
    assert [(one.server, one.tool, one.error_kind) for one in TOLD] == [
        ("hub", "find_tools", None),
        ("old", "echo", None),
        ("hub", "call_tool", "tool"),
    ]


@pytest.mark.asyncio(loop_scope="function")
@eras
async def test_clients_hear_when_auto_switches(era: str) -> None:
    async with running({"a": stdio("--prefix", "a")}) as hub:
        one_server = sum(len(json.dumps(item.definition)) for item in hub.hub._catalog.everything.tools)
        auto = DiscoverySettings(discovery="auto", discovery_threshold=one_server * 3 // 2)
        await hub.hub.apply({"a": stdio("--prefix", "a")}, {}, auto)
        async with listening(hub, era) as heard, hub.client(era) as client:
            assert "a_echo" in [tool.name for tool in (await client.list_tools()).tools]
            await hub.hub.apply({"a": stdio("--prefix", "a"), "b": stdio("--prefix", "b")}, {}, auto)
            await until(lambda: "tools" in heard)
            assert [tool.name for tool in (await client.list_tools()).tools] == DISCOVERY
            assert text_of(await client.call_tool("a_echo", {"text": "x"})) == "ax", "as it was listed before"
            heard.clear()
            await hub.hub.apply({"a": stdio("--prefix", "a")}, {}, auto)
            await until(lambda: "tools" in heard)
            assert "a_echo" in [tool.name for tool in (await client.list_tools()).tools]
            found, _ = await find(client, query="echo")
            assert found == ["a_echo"], "the tools for finding tools still answer"


@pytest.mark.asyncio(loop_scope="function")
async def test_without_discovery_these_names_mean_nothing() -> None:
    async with running({"a": stdio()}) as hub, hub.client("modern") as client:
        with pytest.raises(MCPError, match="Unknown tool: find_tools"):
            await client.call_tool("find_tools", {"query": "x"})


@pytest.mark.asyncio(loop_scope="function")
async def test_keys_find_and_call_what_they_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    spec = {"command": sys.executable, "args": [str(EVERYTHING), "stdio"]}
    settings = {
        "mcpServers": {"git": spec, "files": spec},
        "discovery": "search",
        "keys": {"all": "all-key", "one": {"key": "one-key", "tools": ["git_e*"]}},
    }
    (tmp_path / "hub.yaml").write_text(json.dumps(settings))
    async with Hub(lambda: load_settings(tmp_path / "hub.yaml", environ={})) as hub:
        await hub.mcp.wait_settled(20)
        transport = httpx.ASGITransport(hub.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

            async def ask(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
                body = {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "tools/call" if tool else "tools/list",
                    "params": {
                        **({"name": tool, "arguments": arguments} if tool else {}),
                        "_meta": {
                            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
                            "io.modelcontextprotocol/clientCapabilities": {},
                        },
                    },
                }
                headers = {
                    "authorization": f"Bearer {key}",
                    "accept": "application/json, text/event-stream",
                    "mcp-protocol-version": "2026-07-28",
                    "mcp-method": str(body["method"]),
                    **({"mcp-name": tool} if tool else {}),
                }
                answer = await client.post("/mcp", json=body, headers=headers)
                assert answer.status_code == 200, answer.text
                result: dict[str, Any] = answer.json()["result"]
                return result

            listed = await ask("one-key", "")
            assert "git (2)." in listed["tools"][0]["description"]
            everything = await ask("all-key", "find_tools", query="echo")
            assert {tool["name"] for tool in everything["structuredContent"]["tools"]} == {
                "git_echo",
                "files_echo",
            }
            found = await ask("one-key", "find_tools", query="echo")
            assert [tool["name"] for tool in found["structuredContent"]["tools"]] == ["git_echo"]
            assert "(hidden by: the key 1)" in found["content"][0]["text"]
            assert "files" not in json.dumps(found)
            called = await ask("one-key", "call_tool", name="git_echo", arguments={"text": "x"})
            assert called["content"][0]["text"] == "x"
            for name in ("call_tool", "describe_tool"):
                refused = await ask("one-key", name, name="files_echo")
                assert refused["isError"]
                assert "there is no tool `files_echo` for you" in refused["content"][0]["text"]
