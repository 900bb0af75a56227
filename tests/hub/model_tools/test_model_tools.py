"""The hub's own tools, on a real gateway in front of a scripted upstream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from hub.active_group import ActiveGroup
from hub.downstream.calls import NoCaller
from hub.model_tools import ModelTools
from hub.model_tools.definitions import ask_names
from hub.model_tools.gateway import GatewayModels
from hub.settings import LoadedSettings, Settings
from hub.snapshot import Snapshot
from routing.table import Price, Target
from tests.routing.scripted_upstream import Connection, Received, ScriptedUpstream, answers, scripted
from tests.routing.serving import Served, group, provider, serving, table

PNG = "iVBORw0KGgo="


def completion(text: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "real-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 500_000, "total_tokens": 1_500_000},
        **more,
    }


class Client(NoCaller):
    """A caller that writes down what it is told."""

    def __init__(self, groups: frozenset[str] | None = None, *, listens: bool = False) -> None:
        super().__init__()
        self.groups = groups
        self.wants_progress = listens
        self.told: list[Mapping[str, Any]] = []

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        assert method == "notifications/progress"
        self.told.append(params)


class Tools:
    def __init__(self, served: Served, upstream: ScriptedUpstream, folder: Path) -> None:
        self.served, self.upstream = served, upstream
        self.active = ActiveGroup(folder / "hub.yaml", folder / "active.json")
        self.active.follow(tuple(served.table.groups), next(iter(served.table.groups), None))
        self.server = ModelTools()
        self.server.models = GatewayModels(served.gateway, self.snapshot, self.active)
        self.server.offer(served.table.groups.values())

    def snapshot(self) -> Snapshot:
        return Snapshot(Settings(), self.served.table, LoadedSettings(Settings()))

    async def call(self, name: str, caller: NoCaller | None = None, **arguments: Any) -> dict[str, Any]:
        return await self.server.request(
            "tools/call", {"name": name, "arguments": arguments}, caller or Client()
        )


@asynccontextmanager
async def tools(
    folder: Path, script: Any, *, names: tuple[str, ...] = ("kimi", "qwen")
) -> AsyncIterator[Tools]:
    async with scripted(script) as upstream:
        target = Target(provider("openai", upstream.url), "real-model", price=Price(2.0, 8.0))
        groups = [group(target, name=name) for name in names]
        async with serving(table(*groups)) as served:
            yield Tools(served, upstream, folder)


async def test_each_group_is_a_tool(tmp_path: Path) -> None:
    async with tools(tmp_path, answers(completion("Hello"))) as hub:
        names = [tool["name"] for tool in hub.server.listing.tools]
        assert names == [
            *("ask_kimi", "ask_qwen"),
            *("compare_models", "list_models", "switch_model", "explain_route"),
        ]
        assert not hub.server.offer(hub.served.table.groups.values()), "nothing is new"
        assert hub.server.offer(())
        assert hub.server.listing.tools == ()


def test_names_stay_apart_and_short() -> None:
    names = ask_names(["a.b", "a_b", "a b", "x" * 80, "x" * 81])
    assert names == ["ask_a_b", "ask_a_b_2", "ask_a_b_3", "ask_" + "x" * 60, "ask_" + "x" * 56 + "_2"]
    assert max(map(len, names)) <= 64


async def test_a_group_is_asked(tmp_path: Path) -> None:
    async with tools(tmp_path, answers(completion("Hello"))) as hub:
        result = await hub.call(
            "ask_kimi",
            prompt="Say hello",
            system="Be brief",
            images=["https://e.example/a.png", f"data:image/png;base64,{PNG}"],
            max_tokens=7,
            temperature=0.5,
        )
        assert result["content"] == [{"type": "text", "text": "Hello"}]
        assert not result.get("isError")
        meta = result["_meta"]
        assert (meta["hub/group"], meta["hub/target"]) == ("kimi", "up/real-model")
        assert meta["hub/usage"] == {"input_tokens": 1_000_000, "output_tokens": 500_000}
        assert meta["hub/cost"] == pytest.approx(2.0 + 4.0)
        assert meta["hub/stop_reason"] == "stop"
        (request,) = hub.upstream.requests
        assert request.json["messages"][0] == {"role": "system", "content": "Be brief"}
        kinds = [part["type"] for part in request.json["messages"][1]["content"]]
        assert kinds == ["image_url", "image_url", "text"]
        assert (request.json["max_tokens"], request.json["temperature"]) == (7, 0.5)
        (record,) = hub.served.records
        assert (record.request_id, record.client, record.group) == (
            meta["hub/request_id"],
            "hub-tools",
            "kimi",
        )


async def test_structured_output(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with tools(tmp_path, answers(completion('{"n": 3}'))) as hub:
        result = await hub.call("ask_kimi", prompt="How many?", schema=schema)
        assert result["structuredContent"] == {"n": 3}
        assert hub.upstream.requests[0].json["response_format"]["json_schema"]["schema"] == schema
        hub.upstream.script = answers(completion("three"))
        result = await hub.call("ask_kimi", prompt="How many?", schema=schema)
        assert result["isError"]
        assert "three" in result["content"][0]["text"]


async def streamed(_: Received, connection: Connection) -> None:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    await connection.head(200, {"content-type": "text/event-stream"})
    for delta, finish in (
        ({"role": "assistant", "content": "Hel"}, None),
        ({"content": "lo"}, None),
        ({}, "stop"),
    ):
        document = {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        await connection.chunk(f"data: {json.dumps(document)}\n\n".encode())
    await connection.chunk(b"data: [DONE]\n\n")
    await connection.end()


async def test_a_client_that_listens_hears_the_answer_grow(tmp_path: Path) -> None:
    async with tools(tmp_path, streamed) as hub:
        client = Client(listens=True)
        result = await hub.call("ask_kimi", client, prompt="Say hello")
        assert result["content"] == [{"type": "text", "text": "Hello"}]
        assert "".join(told["message"] for told in client.told) == "Hello"
        progress = [told["progress"] for told in client.told]
        assert progress == sorted(set(progress)), "it must grow with each notification"
        assert hub.upstream.requests[0].json["stream"] is True


async def test_a_failure_is_a_tool_error_in_words(tmp_path: Path) -> None:
    refusal = {"error": {"message": "bad thing", "type": "invalid_request_error"}}
    async with tools(tmp_path, answers(refusal, status=400)) as hub:
        for client in (Client(), Client(listens=True)):
            result = await hub.call("ask_kimi", client, prompt="x")
            assert result["isError"]
            assert "bad thing" in result["content"][0]["text"]


async def test_several_groups_at_once(tmp_path: Path) -> None:
    both = asyncio.Event()
    waiting = 0

    async def script(received: Received, connection: Connection) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 10)
        await answers(completion("Hello"))(received, connection)

    async with tools(tmp_path, script) as hub:
        result = await hub.call("compare_models", prompt="Say hello")
        answered = result["structuredContent"]["answers"]
        assert [(each["group"], each["text"]) for each in answered] == [("kimi", "Hello"), ("qwen", "Hello")]
        assert "## kimi" in result["content"][0]["text"]
        hub.served.table = table(
            replace(hub.served.table.groups["kimi"], targets=()), hub.served.table.groups["qwen"]
        )
        partly = await hub.call("compare_models", prompt="x", groups=["kimi", "qwen"])
        assert not partly["isError"]
        assert "error" in partly["structuredContent"]["answers"][0]


async def test_listing_and_switching(tmp_path: Path) -> None:
    async with tools(tmp_path, answers(completion("Hello"))) as hub:
        assert "kimi (active)" in (await hub.call("list_models"))["content"][0]["text"]
        await hub.call("switch_model", group="qwen")
        assert hub.active.name == "qwen"
        listed = (await hub.call("list_models"))["structuredContent"]["models"]
        assert [model["active"] for model in listed] == [False, True]


async def test_explaining_sends_nothing(tmp_path: Path) -> None:
    async with tools(tmp_path, answers(completion("Hello"))) as hub:
        for group_name in ({}, {"group": "qwen"}):
            text = (await hub.call("explain_route", prompt="x", **group_name))["content"][0]["text"]
            assert "target up/real-model (openai)" in text
        assert hub.upstream.requests == []


async def test_a_limited_caller_reaches_its_groups_alone(tmp_path: Path) -> None:
    async with tools(tmp_path, answers(completion("Hello"))) as hub:
        limited = frozenset({"qwen"})
        assert (await hub.call("list_models", Client(limited)))["structuredContent"]["models"][0][
            "group"
        ] == "qwen"
        answered = await hub.call("compare_models", Client(limited), prompt="x")
        assert [each["group"] for each in answered["structuredContent"]["answers"]] == ["qwen"]
        for name, arguments in (
            ("ask_kimi", {"prompt": "x"}),
            ("compare_models", {"prompt": "x", "groups": ["kimi"]}),
            ("switch_model", {"group": "kimi"}),
            ("explain_route", {"prompt": "x", "group": "kimi"}),
        ):
            with pytest.raises(MCPError, match="no group `kimi`"):
                await hub.call(name, Client(limited), **arguments)
        assert hub.active.name == "kimi"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("ask_nobody", {"prompt": "x"}, "Unknown tool"),
        ("ask_kimi", {}, "`prompt` must be a text"),
        ("ask_kimi", {"prompt": " "}, "not empty"),
        ("ask_kimi", {"prompt": "x", "promt": 1}, "unknown argument `promt`"),
        ("ask_kimi", {"prompt": "x", "images": ["file:///etc/passwd"]}, r"`images\[0\]`"),
        ("ask_kimi", {"prompt": "x", "max_tokens": 1.5}, "whole number"),
        ("ask_kimi", {"prompt": "x", "temperature": True}, "a number"),
        ("ask_kimi", {"prompt": "x", "schema": []}, "`schema`"),
        ("compare_models", {"prompt": "x", "groups": []}, "`groups`"),
        ("switch_model", {"group": "kimmi"}, "no group `kimmi`"),
    ],
)
async def test_wrong_arguments_are_told(
    tmp_path: Path, name: str, arguments: dict[str, Any], said: str
) -> None:
    async with tools(tmp_path, answers(completion("Hello"))) as hub:
        with pytest.raises(MCPError, match=said):
            await hub.call(name, **arguments)
        assert hub.upstream.requests == []
