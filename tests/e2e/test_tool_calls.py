"""Tool calls through the real program: both SDKs and upstreams, JSON and streams, there and back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.program import Program, program
from tests.routing.scripted_upstream import Connection, Received, ScriptedUpstream, scripted

CALLS = [("call_1", "weather", '{"city":"Zürich","days":[1,2]}'), ("call_2", "now", "{}")]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def sse(*events: dict[str, Any], named: bool = False) -> bytes:
    lines = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        lines.append(f"{name}data: {json.dumps(event)}\n\n")
    return "".join(lines).encode()


def chat_json() -> bytes:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in CALLS
    ]
    message = {"role": "assistant", "content": "Let me see.", "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": None}
    usage = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
    return json.dumps(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    ).encode()


def chat_stream() -> bytes:
    """The arguments of the two calls come in turns."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    def call(index: int, **more: Any) -> dict[str, Any]:
        return chunk({"tool_calls": [{"index": index, **more}]})

    begin = [
        call(index, id=call_id, type="function", function={"name": name, "arguments": ""})
        for index, (call_id, name, _) in enumerate(CALLS)
    ]
    pieces = [
        call(index, function={"arguments": arguments[at : at + 5]})
        for at in range(0, 40, 5)
        for index, (_, _, arguments) in enumerate(CALLS)
        if arguments[at : at + 5]
    ]
    usage = {**chunk({}), "choices": [], "usage": json.loads(chat_json())["usage"]}
    text = chunk({"role": "assistant", "content": "Let me see."})
    return sse(text, *begin, *pieces, chunk({}, "tool_calls"), usage) + b"data: [DONE]\n\n"


def messages_json() -> bytes:
    calls = [
        {"type": "tool_use", "id": call_id, "name": name, "input": json.loads(arguments)}
        for call_id, name, arguments in CALLS
    ]
    return json.dumps(
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": "Let me see."}, *calls],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 8},
        }
    ).encode()


def messages_stream() -> bytes:
    whole = json.loads(messages_json())
    start = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": 9, "output_tokens": 0}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            empty, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}]
        else:
            text = CALLS[index - 1][2]
            empty = {**block, "input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": text[at : at + 5]}
                for at in range(0, len(text), 5)
            ]
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": "tool_use", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 8}})
    return sse(*events, {"type": "message_stop"}, named=True)


async def answer(received: Received, connection: Connection) -> None:
    """Calls, byte by byte when streamed; a request that has results already gets words."""
    stream, chat = received.json.get("stream"), "chat" in received.target
    if stream:
        await connection.head(headers={"content-type": "text/event-stream"})
        for byte in chat_stream() if chat else messages_stream():
            await connection.chunk(bytes([byte]))
    else:
        await connection.head(headers={"content-type": "application/json"})
        await connection.chunk(chat_json() if chat else messages_json())
    await connection.end()


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Program, ScriptedUpstream]]:
    async with scripted(answer) as upstream:
        settings = {
            "providers": {
                "chat": {"protocol": "openai", "base_url": f"{upstream.url}/v1", "api_key": "x"},
                "messages": {"protocol": "anthropic", "base_url": upstream.url, "api_key": "x"},
            },
            "groups": {name: {"provider": name, "model": "m"} for name in ("chat", "messages")},
        }
        with program(tmp_path, settings) as hub:
            yield hub, upstream


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("group", ["chat", "messages"])
async def test_openai_sdk(running: tuple[Program, ScriptedUpstream], group: str, stream: bool) -> None:
    hub, upstream = running
    async with openai.AsyncOpenAI(base_url=f"{hub.url}/{group}/v1", api_key="x", max_retries=0) as client:
        messages: list[Any] = [{"role": "user", "content": "How is the weather?"}]
        tools: list[Any] = [
            {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for _, name, _ in CALLS
        ]
        if stream:
            async with client.chat.completions.stream(model="m", messages=messages, tools=tools) as events:
                async for _ in events:
                    pass
                completion: Any = await events.get_final_completion()
        else:
            completion = await client.chat.completions.create(model="m", messages=messages, tools=tools)
        choice = completion.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == "Let me see."
        found = [
            (call.id, call.function.name, json.loads(call.function.arguments))
            for call in choice.message.tool_calls
        ]
        assert found == [(call_id, name, json.loads(arguments)) for call_id, name, arguments in CALLS]
        messages.append(choice.message.model_dump(exclude_none=True, exclude={"parsed"}))
        messages += [
            {"role": "tool", "tool_call_id": call_id, "content": f"of {name}"} for call_id, name, _ in CALLS
        ]
        await client.chat.completions.create(model="m", messages=messages, tools=tools)
    check_results(upstream, group)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("group", ["chat", "messages"])
async def test_anthropic_sdk(running: tuple[Program, ScriptedUpstream], group: str, stream: bool) -> None:
    hub, upstream = running
    async with anthropic.AsyncAnthropic(base_url=f"{hub.url}/{group}", api_key="x", max_retries=0) as client:
        messages: list[Any] = [{"role": "user", "content": "How is the weather?"}]
        tools: list[Any] = [{"name": name, "input_schema": SCHEMA} for _, name, _ in CALLS]
        asked: dict[str, Any] = {"model": "m", "max_tokens": 100, "tools": tools}
        if stream:
            async with client.messages.stream(messages=messages, **asked) as events:
                message = await events.get_final_message()
        else:
            message = await client.messages.create(messages=messages, **asked)
        assert message.stop_reason == "tool_use"
        assert message.content[0].text == "Let me see."
        assert [(call.id, call.name, call.input) for call in message.content[1:]] == [
            (call_id, name, json.loads(arguments)) for call_id, name, arguments in CALLS
        ]
        results = [
            {"type": "tool_result", "tool_use_id": call_id, "content": f"of {name}"}
            for call_id, name, _ in CALLS
        ]
        content = [
            block.model_dump(include={"type", "text", "id", "name", "input"}) for block in message.content
        ]
        messages += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
        await client.messages.create(messages=messages, **asked)
    check_results(upstream, group)


def check_results(upstream: ScriptedUpstream, group: str) -> None:
    """The second request has the calls with their arguments, each with its own result."""
    first, second = (request.json for request in upstream.requests)
    assert len(first["tools"]) == len(CALLS)
    if group == "chat":
        assistant = next(turn for turn in second["messages"] if turn["role"] == "assistant")
        calls = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in assistant["tool_calls"]
        ]
        results = {
            turn["tool_call_id"]: turn["content"] for turn in second["messages"] if turn["role"] == "tool"
        }
    else:
        blocks = [
            block
            for turn in second["messages"]
            if isinstance(turn["content"], list)
            for block in turn["content"]
        ]
        calls = [
            (block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"
        ]
        results = {
            block["tool_use_id"]: block["content"] for block in blocks if block["type"] == "tool_result"
        }
    assert calls == [(call_id, name, json.loads(arguments)) for call_id, name, arguments in CALLS]
    assert set(results) == {"call_1", "call_2"}
    assert "of weather" in json.dumps(results["call_1"])
    assert "of now" in json.dumps(results["call_2"])
