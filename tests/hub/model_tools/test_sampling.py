"""Servers that ask for a model, answered by the hub: real servers and clients of both eras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from adapters.canonical import (
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Media,
    Part,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from hub.downstream.calls import Caller, NoCaller
from hub.model_tools.sampling import Sampling
from hub.settings.mcp import McpServerSettings
from routing.ask import OnText, Said
from routing.table import Table
from tests.hub.mcp.harness import ERAS, json_of, running, stdio


class Model:
    """Says the same to everybody, and writes down what it was asked."""

    table = Table()
    active_group: str | None = "kimi"

    def __init__(self, *parts: Part, reason: Any = "stop") -> None:
        self.parts = parts or (Text("I am a model"),)
        self.reason = reason
        self.asked: list[tuple[str, ChatRequest]] = []

    async def ask(self, group: str, request: ChatRequest, caller: Caller, on_text: OnText | None) -> Said:
        self.asked.append((group, request))
        choice = Choice(self.parts, FinishReason(self.reason))
        return Said(ChatResponse("r", "real-model", (choice,), Usage(30, 20)), group, "up/real-model", "id")

    def switch(self, group: str) -> None:
        raise AssertionError

    def cost(self, said: Said) -> float | None:
        return None

    def explain(self, table: Table, group: str | None, request: ChatRequest) -> str:
        raise AssertionError


class User:
    """Says yes or no when asked."""

    def __init__(self, *, agrees: bool) -> None:
        self.agrees = agrees
        self.asked: list[str] = []

    async def answer(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        self.asked.append(params.message)
        return types.ElicitResult(action="accept", content={"allow": self.agrees})


def sampling(model: Model, clock: Any = None) -> Sampling:
    made = Sampling(clock) if clock is not None else Sampling()
    made.models = model  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("client_era", ERAS)
@pytest.mark.parametrize("server_era", ERAS)
async def test_a_client_without_a_model_calls_a_tool_that_needs_one(client_era: str, server_era: str) -> None:
    model = Model()
    async with running({"s": stdio("--era", server_era, sampling="group:cheap")}) as hub:
        hub.hub.sampling = sampling(model)
        async with hub.client(client_era) as client:
            answer = json_of(await client.call_tool("s_sample"))
    assert answer["content"]["text"] == "I am a model"
    assert (answer["role"], answer["model"], answer["stopReason"]) == ("assistant", "real-model", "endTurn")
    ((group, request),) = model.asked
    assert (group, request.max_tokens) == ("cheap", 5)
    assert request.messages[0].parts == (Text("hello"),)


@pytest.mark.parametrize("client_era", ERAS)
@pytest.mark.parametrize("server_era", ERAS)
@pytest.mark.parametrize("agrees", [True, False])
async def test_the_user_is_asked_first(client_era: str, server_era: str, agrees: bool) -> None:
    model, user = Model(), User(agrees=agrees)
    async with running({"s": stdio("--era", server_era, sampling="ask")}) as hub:
        hub.hub.sampling = sampling(model)
        async with hub.client(client_era, elicitation_callback=user.answer) as client:
            if agrees:
                assert json_of(await client.call_tool("s_sample"))["content"]["text"] == "I am a model"
            else:
                with pytest.raises(MCPError, match="did not agree"):
                    await client.call_tool("s_sample")
    assert [group for group, _ in model.asked] == (["kimi"] if agrees else [])
    (message,) = user.asked
    assert "s wants to ask" in message
    assert "hello" in message


@pytest.mark.parametrize("client_era", ERAS)
@pytest.mark.parametrize("server_era", ERAS)
async def test_denied_whatever_the_client_offers(client_era: str, server_era: str) -> None:
    model = Model()

    async def offered(context: Any, params: Any) -> types.CreateMessageResult:
        raise AssertionError("the client must not be asked")

    async with running({"s": stdio("--era", server_era, sampling="deny")}) as hub:
        hub.hub.sampling = sampling(model)
        async with hub.client(client_era, sampling_callback=offered) as client:
            with pytest.raises(MCPError):
                await client.call_tool("s_sample")
    assert model.asked == []


SETTINGS = McpServerSettings(command="x", sampling="group:cheap", sampling_budget=100)


def question(**more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 9, **more}


async def test_tokens_of_an_hour() -> None:
    now = 0.0
    served = sampling(Model(), lambda: now)
    for _ in range(2):
        await served.answer("s", SETTINGS, NoCaller(), question())
    with pytest.raises(MCPError, match="100 tokens of this hour"):
        await served.answer("s", SETTINGS, NoCaller(), question())
    await served.answer("other", SETTINGS, NoCaller(), question())
    now = 3601.0
    await served.answer("s", SETTINGS, NoCaller(), question())


async def test_tools_pictures_and_results_are_carried() -> None:
    model = Model(Text("Let me see"), ToolCall("c2", "look", '{"at": 1}'), reason="tool_calls")
    history = [
        {"role": "user", "content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}]},
        {
            "role": "assistant",
            "content": {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 0}},
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "toolUseId": "c1",
                    "isError": True,
                    "content": [{"type": "text", "text": "no"}],
                },
                {"type": "text", "text": "go on"},
            ],
        },
    ]
    result = await sampling(model).answer(
        "s",
        SETTINGS,
        NoCaller(),
        question(
            messages=history,
            systemPrompt="Be brief",
            stopSequences=["END"],
            temperature=0.25,
            tools=[{"name": "look", "description": "d", "inputSchema": {"type": "object"}}],
            toolChoice={"mode": "required"},
        ),
    )
    ((_, request),) = model.asked
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "tool", "user"]
    assert isinstance(request.messages[1].parts[0], Media)
    assert request.messages[2].parts == (ToolCall("c1", "look", '{"at":0}'),)
    assert request.messages[3].parts == (ToolResult("c1", (Text("no"),), "look", is_error=True),)
    assert (request.stop, request.temperature) == (("END",), 0.25)
    assert request.tool_choice is not None
    assert request.tool_choice.mode == "required"
    assert result["stopReason"] == "toolUse"
    assert result["content"] == [
        {"type": "text", "text": "Let me see"},
        {"type": "tool_use", "id": "c2", "name": "look", "input": {"at": 1}},
    ]
    types.CreateMessageResultWithTools.model_validate(result)


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        question(messages=[]),
        question(messages=["x"]),
        question(messages=[{"role": "system", "content": {"type": "text", "text": "x"}}]),
        question(messages=[{"role": "user", "content": {"type": "hologram"}}]),
        question(tools=[{}]),
    ],
)
async def test_a_question_of_another_form_is_refused(params: Mapping[str, Any] | None) -> None:
    model = Model()
    with pytest.raises(MCPError):
        await sampling(model).answer("s", SETTINGS, NoCaller(), params)
    assert model.asked == []
