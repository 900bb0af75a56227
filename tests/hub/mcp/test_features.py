"""Every feature x downstream transport and era x client era, through real processes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import fastmcp
import mcp_types as types
import pytest
import pytest_asyncio
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from hub.settings.mcp import McpServerSettings, ProfileSettings
from tests.hub.mcp.harness import ERAS, MODES, Running, json_of, raw_request, remote, running, stdio, text_of
from tests.servers.everything import LINK_RESULT, LONG_NAME, VERBATIM_SCHEMA, Everything

DOWNSTREAMS = ("stdio_legacy", "stdio_modern", "http_legacy", "http_modern", "sse_legacy")
PROFILES = {"some": ProfileSettings(servers=DOWNSTREAMS, tools={"exclude": ["*_fail"]})}


@pytest.fixture(scope="module")
def remotes() -> Iterator[dict[str, McpServerSettings]]:
    with (
        remote("http", "--era", "legacy", "--prefix", "http_legacy") as http_legacy,
        remote("http", "--era", "modern", "--prefix", "http_modern") as http_modern,
        remote("sse", "--prefix", "sse_legacy") as sse_legacy,
    ):
        yield {"http_legacy": http_legacy, "http_modern": http_modern, "sse_legacy": sse_legacy}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(remotes: dict[str, McpServerSettings]) -> AsyncIterator[Running]:
    servers = {
        "stdio_legacy": stdio("--prefix", "stdio_legacy"),
        "stdio_modern": stdio("--era", "modern", "--prefix", "stdio_modern"),
        **remotes,
    }
    async with running(servers, PROFILES) as hub:
        yield hub


pytestmark = pytest.mark.asyncio(loop_scope="module")
downstreams = pytest.mark.parametrize("downstream", DOWNSTREAMS)
eras = pytest.mark.parametrize("era", ERAS)


def expected_tools() -> list[dict[str, Any]]:
    return Everything("legacy", "").tools()


async def test_each_server_is_reached_in_its_own_era(hub: Running) -> None:
    found = {row.name: (row.state, row.reason, row.protocol_version) for row in hub.hub.status()}
    assert found == {
        name: ("ready", None, "2026-07-28" if name.endswith("modern") else "2025-11-25")
        for name in DOWNSTREAMS
    }


@eras
async def test_one_server_lists_its_tools_verbatim_and_all_pages(hub: Running, era: str) -> None:
    for downstream in DOWNSTREAMS:
        async with hub.client(era, downstream) as client:
            raw = await raw_request(client, "tools/list")
        expected = expected_tools()
        for tool in expected:
            tool["description"] += downstream
        if era == "modern":
            assert (raw["resultType"], raw["ttlMs"], raw["cacheScope"]) == ("complete", 0, "private")
        else:
            assert set(raw) == {"tools"}
        assert raw["tools"] == expected


@eras
@pytest.mark.parametrize("library", ["mcp", "fastmcp"])
@pytest.mark.parametrize("name", ["", "some", "stdio_legacy"])
async def test_official_clients_through_all_endpoints(
    hub: Running, era: str, library: str, name: str
) -> None:
    tool = "echo" if name == "stdio_legacy" else "stdio_legacy_echo"
    if library == "fastmcp":
        async with fastmcp.Client(hub.url(name), mode=MODES[era]) as client:
            names = {t.name for t in await client.list_tools()}
            answer = (await client.call_tool(tool, {"text": "hi"})).content[0].text  # type: ignore[union-attr]
    else:
        async with hub.client(era, name) as official:
            names = {t.name for t in (await official.list_tools()).tools}
            answer = text_of(await official.call_tool(tool, {"text": "hi"}))
            assert (official.session.protocol_version in MODERN_PROTOCOL_VERSIONS) == (era == "modern")
    assert tool in names
    assert answer == "stdio_legacyhi"
    if name == "some":
        assert not any(n.endswith("_fail") for n in names)


@pytest.mark.parametrize("name", ["", "some", "http_modern"])
async def test_two_eras_connected_at_once_see_the_same(hub: Running, name: str) -> None:
    async with hub.client("legacy", name) as old, hub.client("modern", name) as new:
        assert (await old.list_tools()).tools == (await new.list_tools()).tools
        assert (await old.list_resources()).resources == (await new.list_resources()).resources
        assert (await old.list_prompts()).prompts == (await new.list_prompts()).prompts
        templates = (await old.list_resource_templates()).resource_templates
        assert templates == (await new.list_resource_templates()).resource_templates
        assert templates


@eras
@downstreams
async def test_results_are_verbatim(hub: Running, era: str, downstream: str) -> None:
    async with hub.client(era, downstream) as client:
        raw = await raw_request(client, "tools/call", name="link", arguments={})
    raw.pop("resultType", None)
    raw["_meta"].pop("io.modelcontextprotocol/serverInfo", None)
    assert raw == LINK_RESULT


@eras
@downstreams
async def test_schemas_keep_definitions_and_anchors(hub: Running, era: str, downstream: str) -> None:
    async with hub.client(era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool(f"{downstream}_verbatim", {"at": {"x": 1}})
    assert tools[f"{downstream}_verbatim"].input_schema == VERBATIM_SCHEMA
    assert json_of(result) == {"at": {"x": 1}}


@eras
@downstreams
@pytest.mark.parametrize("shared", [True, False])
async def test_links_in_results_can_be_read(hub: Running, era: str, downstream: str, shared: bool) -> None:
    prefix = f"{downstream}_" if shared else ""
    async with hub.client(era, "" if shared else downstream) as client:
        result = await client.call_tool(f"{prefix}link")
        prompt = await client.get_prompt(f"{prefix}greet", {"who": "me"})
        blocks = [*result.content, *(message.content for message in prompt.messages)]
        uris = [block.uri for block in blocks if isinstance(block, types.ResourceLink)]
        uris += [block.resource.uri for block in blocks if isinstance(block, types.EmbeddedResource)]
        assert len(uris) == 3
        for uri in uris:
            (content,) = (await client.read_resource(uri)).contents
            assert content.uri == uri
            assert isinstance(content, types.TextResourceContents)
            assert content.text.startswith(f"{downstream} content of test://")
        listed = [resource.uri for resource in (await client.list_resources()).resources]
        assert uris[0] in listed
        assert json.dumps(result.structured_content) == json.dumps(LINK_RESULT["structuredContent"])


@eras
@downstreams
async def test_templates_expand_to_readable_uris(hub: Running, era: str, downstream: str) -> None:
    async with hub.client(era) as client:
        templates = [t.uri_template for t in (await client.list_resource_templates()).resource_templates]
        (template,) = [t for t in templates if f"/{downstream}/" in t]
        (content,) = (await client.read_resource(template.replace("{id}", "12"))).contents
    assert isinstance(content, types.TextResourceContents)
    assert content.text == f"{downstream} content of test://dyn/12"


@eras
@downstreams
async def test_completions(hub: Running, era: str, downstream: str) -> None:
    async with hub.client(era) as client:
        prompt = types.PromptReference(type="ref/prompt", name=f"{downstream}_greet")
        found = await client.complete(prompt, {"name": "who", "value": "wo"})
        assert found.completion.values == ["greet:wo!"]
        templates = [t.uri_template for t in (await client.list_resource_templates()).resource_templates]
        (template,) = [t for t in templates if f"/{downstream}/" in t]
        reference = types.ResourceTemplateReference(type="ref/resource", uri=template)
        found = await client.complete(reference, {"name": "id", "value": "1"})
        assert found.completion.values == ["test://dyn/{id}:1!"]


@eras
@downstreams
async def test_progress_comes_whole_in_order_and_before_the_result(
    hub: Running, era: str, downstream: str
) -> None:
    heard: list[Any] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with hub.client(era, downstream) as client:
        await client.call_tool("progress", {"steps": 5}, progress_callback=on_progress)
    # The test's client handles each notification in a task of its own, so only the set is certain.
    assert sorted(heard) == [(step, 5, f"step {step}") for step in range(1, 6)]


@eras
@downstreams
async def test_log_messages_reach_the_caller_alone(hub: Running, era: str, downstream: str) -> None:
    mine: list[str] = []
    others: list[str] = []

    async def on_log(params: types.LoggingMessageNotificationParams) -> None:
        mine.append(f"{params.level}: {params.data}")

    async def on_other(params: types.LoggingMessageNotificationParams) -> None:
        others.append(str(params.data))

    async with (
        hub.client(era, downstream, logging_callback=on_log, log_level="warning") as client,
        hub.client("legacy", downstream, logging_callback=on_other) as other,
    ):
        await other.list_tools()
        await client.call_tool("log", {"id": 1})
        await other.call_tool("echo", {"text": ""})
    if era == "modern":
        assert mine == ["warning: warning {'id': 1}"]
    elif downstream.endswith("modern"):
        assert "warning: warning {'id': 1}" in mine
    else:
        assert sorted(mine) == ["debug: debug {'id': 1}", "warning: warning {'id': 1}"]
    assert others == []


@eras
@downstreams
async def test_errors_of_the_server_come_through_as_they_are(hub: Running, era: str, downstream: str) -> None:
    async with hub.client(era) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool(f"{downstream}_fail")
    assert (caught.value.code, caught.value.message) == (-32055, "it is broken")
    assert caught.value.error.data == {"why": ["a", 1]}


@eras
@downstreams
async def test_own_meta_arrives_and_the_envelope_does_not(hub: Running, era: str, downstream: str) -> None:
    async with hub.client(era) as client:
        seen = json_of(await client.call_tool(f"{downstream}_meta", meta={"example.com/trace": "t"}))
    assert seen["example.com/trace"] == "t"
    name = (seen.get("io.modelcontextprotocol/clientInfo") or {}).get("name")
    assert name == ("hub" if downstream.endswith("modern") else None)


@downstreams
async def test_large_arguments_and_results(hub: Running, downstream: str) -> None:
    # The SDK's SSE client takes events of up to 1 MiB.
    text = "ä" * (400_000 if downstream.startswith("sse") else 3_000_000)
    async with hub.client("modern", downstream) as client:
        assert text_of(await client.call_tool("echo", {"text": text})) == downstream + text


@eras
async def test_names_fit_every_client(hub: Running, era: str) -> None:
    async with hub.client(era) as client:
        tools = (await client.list_tools()).tools
        names = [tool.name for tool in tools]
        assert len(set(names)) == len(names)
        assert all(len(name) <= 64 for name in names)
        (long,) = [
            tool.name
            for tool in tools
            if tool.title == f"The {LONG_NAME} tool" and "http_modern" in tool.name
        ]
        assert text_of(await client.call_tool(long)) == f"ran {LONG_NAME}"


@eras
async def test_unknown_names_are_refused(hub: Running, era: str) -> None:
    async with hub.client(era, "some") as client:
        with pytest.raises(MCPError, match="Unknown tool: stdio_legacy_fail"):
            await client.call_tool("stdio_legacy_fail")
        with pytest.raises(MCPError, match="Unknown prompt: nope"):
            await client.get_prompt("nope")
        with pytest.raises(MCPError, match="Resource not found") as caught:
            await client.read_resource("test://static")
        assert caught.value.code == (-32602 if era == "modern" else -32002)


async def test_instructions_of_the_servers(hub: Running) -> None:
    async with hub.client("modern", "stdio_modern") as client:
        assert client.session.instructions == "how to use stdio_modern"
    async with hub.client("legacy") as client:
        told = client.session.instructions or ""
        assert "# http_legacy\nhow to use http_legacy" in told


async def test_the_facade_lists_and_calls(hub: Running) -> None:
    tools = {tool.name: tool for tool in hub.hub.list_tools(server="http_legacy")}
    assert tools["http_legacy_echo"].original == "echo"
    assert tools["http_legacy_verbatim"].definition.input_schema == VERBATIM_SCHEMA
    assert {tool.server for tool in hub.hub.list_tools(profile="some")} == set(DOWNSTREAMS)
    assert text_of(await hub.hub.call_tool("http_legacy_echo", {"text": "x"})) == "http_legacyx"
    with pytest.raises(KeyError):
        hub.hub.list_tools(server="nobody")
