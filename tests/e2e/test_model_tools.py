"""The groups as MCP tools of the real program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from hub.catalog import Catalog
from hub.downstream.listing import Listing
from tests.e2e.program import Program, program
from tests.hub.mcp.harness import MODES, until
from tests.hub.model_tools.test_model_tools import completion, streamed
from tests.routing.scripted_upstream import answers, scripted

OWN = ["compare_models", "list_models", "switch_model", "explain_route"]


def settings(url: str, **more: Any) -> dict[str, Any]:
    return {
        "providers": {"up": {"protocol": "openai", "base_url": f"{url}/v1"}},
        "groups": {name: {"model": "m", "provider": "up"} for name in ("kimi", "qwen")},
        "mcpServers": {},
        **more,
    }


async def tool_names(hub: Program, path: str = "", key: str | None = None, era: str = "modern") -> list[str]:
    async with client(hub, path, key, era) as session:
        return [tool.name for tool in (await session.list_tools()).tools]


@asynccontextmanager
async def client(
    hub: Program, path: str = "", key: str | None = None, era: str = "modern"
) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx2.AsyncClient(headers=headers, trust_env=False) as http:
        transport = streamable_http_client(f"{hub.url}/mcp{path}", http_client=http)
        async with Client(transport, mode=MODES[era]) as session:
            yield session


def groups_of(hub: Program) -> list[str]:
    return [group["name"] for group in hub.status()["groups"]]


@pytest.mark.parametrize("era", MODES)
async def test_an_agent_asks_another_model(tmp_path: Path, era: str) -> None:
    heard: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async with scripted(streamed) as upstream:
        with program(tmp_path, settings(upstream.url)) as hub:
            async with client(hub, era=era) as session:
                names = [tool.name for tool in (await session.list_tools()).tools]
                assert names == ["ask_kimi", "ask_qwen", *OWN]
                result = await session.call_tool("ask_kimi", {"prompt": "hi"}, progress_callback=on_progress)
                assert result.content[0].text == "Hello"  # type: ignore[union-attr]
                assert "".join(filter(None, heard)) == "Hello"
                upstream.script = answers(completion("Plain"))
                result = await session.call_tool("compare_models", {"prompt": "hi"})
                assert result.structured_content is not None
                assert [each["text"] for each in result.structured_content["answers"]] == ["Plain", "Plain"]
                await session.call_tool("switch_model", {"group": "qwen"})
            assert hub.status()["active_group"] == "qwen"


async def test_profiles_and_keys_see_their_groups_alone(tmp_path: Path) -> None:
    given = {
        "profiles": {
            "one": {"groups": ["kimi"]},
            "none": {"groups": []},
            "quiet": {"tools": {"exclude": ["ask_*", "switch_model"]}},
            "servers": {"servers": []},
        },
        "keys": {"all": "key-for-all", "limited": {"key": "key-for-qwen", "groups": ["qwen"]}},
    }
    async with scripted(answers(completion("Hello"))) as upstream:
        with program(tmp_path, settings(upstream.url, **given)) as hub:
            own = {
                path: await tool_names(hub, path, "key-for-all")
                for path in ("/one", "/none", "/quiet", "/servers")
            }
            assert own == {
                "/one": ["ask_kimi", *OWN],
                "/none": [],
                "/quiet": ["compare_models", "list_models", "explain_route"],
                "/servers": [],
            }
            assert await tool_names(hub, "", "key-for-qwen") == ["ask_qwen", *OWN]
            assert await tool_names(hub, "/one", "key-for-qwen") == OWN
            async with client(hub, "/one", "key-for-all") as session:
                listed = await session.call_tool("list_models", {})
                assert listed.structured_content is not None
                assert [model["group"] for model in listed.structured_content["models"]] == ["kimi"]


async def test_new_groups_are_told_at_once(tmp_path: Path) -> None:
    async with scripted(answers(completion("Hello"))) as upstream:
        before = settings(upstream.url)
        with program(tmp_path, before) as hub:
            assert "ask_third" not in await tool_names(hub)
            hub.save({**before, "groups": {**before["groups"], "third": {"model": "m", "provider": "up"}}})
            await until(lambda: "third" in groups_of(hub))
            assert "ask_third" in await tool_names(hub)
            hub.save({**before, "model_tools": False})
            await until(lambda: "third" not in groups_of(hub))
            assert await tool_names(hub) == []


def test_a_server_called_ask_does_not_hide_a_group() -> None:
    own = Listing(tools=({"name": "ask_kimi", "inputSchema": {}},))
    other = Listing(tools=({"name": "kimi", "inputSchema": {}}, {"name": "qwen", "inputSchema": {}}))
    everything = Catalog.build(("ask", "hub"), {"ask": other, "hub": own}, {}, ("hub",)).everything
    by_server = {item.server: item.public for item in everything.tools if item.original != "qwen"}
    assert by_server["hub"] == "ask_kimi"
    assert by_server["ask"].startswith("ask_kimi_")
    assert everything.tool_by_name["ask_qwen"].server == "ask"
