"""Tools for models that cannot call tools, and calls that models write as text."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from routing.table import Target
from tests.routing.samples import SAMPLES
from tests.routing.scripted_upstream import Received, answers, scripted, streams
from tests.routing.serving import group, provider, serving, simple_table, table
from tests.routing.test_streaming import Stepwise

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
    "required": ["city"],
}
WEATHER = {"name": "get_weather", "description": "The weather in a city"}
ARGUMENTS = {"city": "Rome"}
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'
TEXT = "I look it up.\n"

_OPENAI_TOOLS = {"tools": [{"type": "function", "function": {**WEATHER, "parameters": SCHEMA}}]}
TOOLS: dict[str, dict[str, Any]] = {
    "openai": _OPENAI_TOOLS,
    "openai-responses": {"tools": [{"type": "function", **WEATHER, "parameters": SCHEMA, "strict": False}]},
    "anthropic": {"tools": [{**WEATHER, "input_schema": SCHEMA}]},
    "gemini": {"tools": [{"functionDeclarations": [{**WEATHER, "parametersJsonSchema": SCHEMA}]}]},
    "ollama": _OPENAI_TOOLS,
}
"""The same tool, as each protocol declares it."""
PAIRS = [(client, target) for client in SAMPLES for target in SAMPLES]


def with_text(protocol: str, text: str) -> dict[str, Any]:
    """The protocol's sample answer, saying `text`."""
    document: dict[str, Any] = json.loads(
        json.dumps(SAMPLES[protocol].answer).replace('"Hello there"', json.dumps(text))
    )
    return document


def stream_of(*texts: str) -> tuple[bytes, ...]:
    """A stream of Chat Completions."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real-model"}
    deltas: list[dict[str, Any]] = [
        {"index": 0, "delta": {"content": text}, "finish_reason": None} for text in texts
    ]
    ends = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    documents = [{**head, "choices": [choice]} for choice in (*deltas, *ends)]
    documents.append({**head, "choices": [], "usage": usage})
    return (*(f"data: {json.dumps(one)}\n\n".encode() for one in documents), b"data: [DONE]\n\n")


def called(protocol: str, document: dict[str, Any]) -> tuple[str, list[tuple[str, Any]], str]:
    """Text, calls and stop reason of an answer in the client's own shape."""
    match protocol:
        case "openai":
            choice = document["choices"][0]
            functions = [call["function"] for call in choice["message"]["tool_calls"]]
            calls = [(one["name"], json.loads(one["arguments"])) for one in functions]
            return choice["message"]["content"] or "", calls, choice["finish_reason"]
        case "openai-responses":
            items = document["output"]
            texts = [item["content"][0]["text"] for item in items if item["type"] == "message"]
            functions = [item for item in items if item["type"] == "function_call"]
            calls = [(one["name"], json.loads(one["arguments"])) for one in functions]
            return "".join(texts), calls, document["status"]
        case "anthropic":
            blocks = document["content"]
            text = "".join(block["text"] for block in blocks if block["type"] == "text")
            uses = [block for block in blocks if block["type"] == "tool_use"]
            return text, [(one["name"], one["input"]) for one in uses], document["stop_reason"]
        case "gemini":
            candidate = document["candidates"][0]
            parts = candidate["content"]["parts"]
            text = "".join(part.get("text", "") for part in parts)
            uses = [part["functionCall"] for part in parts if "functionCall" in part]
            return text, [(one["name"], one["args"]) for one in uses], candidate["finishReason"]
    message = document["message"]
    functions = [call["function"] for call in message["tool_calls"]]
    return message["content"], [(one["name"], one["arguments"]) for one in functions], document["done_reason"]


STOPS = {"openai": "tool_calls", "openai-responses": "completed", "anthropic": "tool_use", "gemini": "STOP"}
STOPS["ollama"] = "stop"


@pytest.mark.parametrize(("client_protocol", "target_protocol"), PAIRS)
async def test_a_model_without_tools_calls_tools(client_protocol: str, target_protocol: str) -> None:
    ours = SAMPLES[client_protocol]
    script = answers(with_text(target_protocol, TEXT + CALL))
    async with (
        scripted(script) as upstream,
        serving(simple_table(target_protocol, upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        body = {**ours.body, **TOOLS[client_protocol]}
        answer = await client.post(f"{hub.url}/g/compat{ours.path}", json=body)
    assert answer.status_code == 200, answer.text
    assert called(client_protocol, answer.json()) == (
        TEXT,
        [("get_weather", ARGUMENTS)],
        STOPS[client_protocol],
    )
    sent = upstream.requests[0].json
    assert not {"tools", "tool_choice", "toolConfig", "parallel_tool_calls"} & sent.keys()
    told = json.dumps(sent)
    for word in ("get_weather", "The weather in a city", "enum", "<tool_call>"):
        assert word in told


async def ask(url: str, body: dict[str, Any], path: str = "/v1/chat/completions") -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(url + path, json=body)


CHAT = {"model": "x", "messages": [{"role": "user", "content": "Weather?"}], **_OPENAI_TOOLS}


async def test_calls_and_results_go_back_as_text_and_the_prefix_stays() -> None:
    async with (
        scripted(answers(with_text("openai", TEXT + CALL))) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
    ):
        first = (await ask(f"{hub.url}/g/compat", CHAT)).json()["choices"][0]["message"]
        call = first["tool_calls"][0]
        turn = [first, {"role": "tool", "tool_call_id": call["id"], "content": "21 °C"}]
        messages = [*CHAT["messages"], *turn]
        await ask(f"{hub.url}/g/compat", {**CHAT, "messages": messages})
        messages = [
            *messages,
            {"role": "assistant", "content": "Warm."},
            {"role": "user", "content": "And now?"},
        ]
        await ask(f"{hub.url}/g/compat", {**CHAT, "messages": messages})
    sent = [request.json["messages"] for request in upstream.requests]
    assert sent[1][: len(sent[0])] == sent[0]
    assert sent[2][: len(sent[1])] == sent[1]
    assert [message["role"] for message in sent[1]] == ["system", "user", "assistant", "user"]
    assert sent[1][2]["content"] == (
        f'{TEXT}<tool_call>\n{{"name": "get_weather", "arguments": {{"city":"Rome"}}, "id": "{call["id"]}"}}'
        "\n</tool_call>"
    )
    assert sent[1][3]["content"] == (
        f'<tool_response id="{call["id"]}" name="get_weather">\n21 °C\n</tool_response>'
    )


async def test_text_goes_out_while_a_call_is_held_back() -> None:
    pieces = stream_of(
        "I ", "look.<tool", '_call>{"name": "get_weather", ', '"arguments": {"city": "Rome"}}</tool_call>'
    )
    script = Stepwise(*pieces, content_type="text/event-stream")
    async with (
        scripted(script) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        script.go.release()
        script.go.release()
        body = {**CHAT, "stream": True}
        async with client.stream("POST", f"{hub.url}/g/compat/v1/chat/completions", json=body) as answer:
            received, chunks = b"", answer.aiter_bytes()
            while b"look." not in received:
                received += await asyncio.wait_for(anext(chunks), 5)
            assert b"<tool" not in received
            for _ in range(len(pieces)):
                script.go.release()
            async for chunk in chunks:
                received += chunk
    documents = [
        json.loads(line[6:]) for line in received.decode().split("\n\n") if line.startswith("data: {")
    ]
    deltas = [choice["delta"] for document in documents for choice in document["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "I look."
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert calls[0]["function"]["name"] == "get_weather"
    assert calls[0]["id"].startswith("call_")
    assert json.loads("".join(call["function"].get("arguments", "") for call in calls)) == ARGUMENTS
    finishes = [choice["finish_reason"] for document in documents for choice in document["choices"]]
    assert finishes[-1] == "tool_calls"


async def test_a_stream_for_a_client_that_wants_json() -> None:
    async with (
        scripted(streams(*stream_of(*CALL))) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
    ):
        answer = (await ask(f"{hub.url}/g/compat", CHAT)).json()
    assert called("openai", answer) == ("", [("get_weather", ARGUMENTS)], "tool_calls")
    assert answer["usage"]["total_tokens"] == 10


async def test_a_malformed_call_is_told_to_the_model() -> None:
    malformed = '<tool_call>{"name": "get_wether", "arguments": {}}</tool_call>'
    async with (
        scripted(answers(with_text("openai", malformed))) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
    ):
        first = (await ask(f"{hub.url}/g/compat", CHAT)).json()["choices"][0]
        assert first["message"]["content"] == malformed
        assert first["finish_reason"] == "stop"
        messages = [*CHAT["messages"], first["message"], {"role": "user", "content": "Go on"}]
        await ask(f"{hub.url}/g/compat", {**CHAT, "messages": messages})
    *_, said, told = upstream.requests[1].json["messages"]
    assert said["content"] == malformed
    assert told["content"] == (
        '<tool_response error="true">\nYour <tool_call> was not run: there is no tool `get_wether`; '
        "the tools are: get_weather. Write it again.\n</tool_response>\n\nGo on"
    )


@pytest.mark.parametrize("repair", [True, False])
@pytest.mark.parametrize("target_protocol", SAMPLES)
async def test_a_group_may_repair_calls_written_as_text(target_protocol: str, repair: bool) -> None:
    target = Target
    async with (
        scripted(answers(with_text(target_protocol, TEXT + CALL))) as upstream,
        serving(
            table(group(target(provider(target_protocol, upstream.url), "m"), tool_repair=repair))
        ) as hub,
    ):
        answer = (await ask(f"{hub.url}/g", CHAT)).json()["choices"][0]
    sent = upstream.requests[0].json
    assert "tools" in sent  # natively, as ever
    if repair:
        assert answer["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
        assert answer["finish_reason"] == "tool_calls"
    else:
        assert answer["message"]["content"] == TEXT + CALL
        assert answer["finish_reason"] == "stop"


async def test_what_can_only_be_asked_for_is_reported() -> None:
    body = {**CHAT, "tool_choice": "required", "parallel_tool_calls": False}
    async with (
        scripted(answers(with_text("openai", CALL))) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
    ):
        answer = await ask(f"{hub.url}/g/compat", body)
    assert answer.headers["x-hub-losses"] == "tool_choice, parallel_tool_calls"
    last = upstream.requests[0].json["messages"][-1]["content"]
    assert last == (
        "Weather?\n\nUse a tool now: answer with a <tool_call>. Write at most one <tool_call> in an answer."
    )


async def test_tokens_are_counted_of_what_would_be_sent() -> None:
    async def fail(_: Received, connection: Any) -> None:
        raise AssertionError("asked")

    sample = SAMPLES["anthropic"]
    body = {**sample.body, **TOOLS["anthropic"]}
    async with scripted(fail) as upstream, serving(simple_table("anthropic", upstream.url)) as hub:
        answer = await ask(f"{hub.url}/g/compat", body, "/v1/messages/count_tokens")
        plain = await ask(f"{hub.url}/g/compat", sample.body, "/v1/messages/count_tokens")
    assert answer.headers["x-hub-estimated"] == "true"
    assert answer.json()["input_tokens"] > plain.json()["input_tokens"] + 200
    assert upstream.requests == []


@pytest.mark.parametrize("prefix", ["", "/g", "/switch"])
async def test_every_prefix_may_end_in_compat(prefix: str) -> None:
    async with (
        scripted(answers(with_text("openai", CALL))) as upstream,
        serving(simple_table("openai", upstream.url)) as hub,
        httpx.AsyncClient() as client,
    ):
        answer = (await ask(f"{hub.url}{prefix}/compat", CHAT)).json()
        models = await client.get(f"{hub.url}{prefix}/compat/v1/models")
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert [model["id"] for model in models.json()["data"]] == ["g"]
