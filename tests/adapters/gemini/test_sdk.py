"""Google's own Python SDK as the client: what it sends is read, what it gets it understands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from adapters.canonical import (
    ChatError,
    ChatRequest,
    ChatResponse,
    Choice,
    Failure,
    FinishReason,
    Part,
    Signature,
    StreamEvent,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from adapters.codec import Arrival, ModelInfo, Reply
from adapters.gemini import CODEC
from adapters.replay import replay


class Hub:
    """Answers the SDK's requests from a script, through the codec alone."""

    def __init__(self, *answers: tuple[Part, ...]) -> None:
        self.answers = iter(answers)
        self.requests: list[ChatRequest] = []
        self.change: Callable[[list[StreamEvent]], list[StreamEvent]] = lambda events: events

    def client(self) -> genai.Client:
        http = httpx.Client(transport=httpx.MockTransport(self.handle))
        options = types.HttpOptions(base_url="http://hub.test", httpx_client=http)
        return genai.Client(api_key="k", http_options=options)

    def handle(self, request: httpx.Request) -> httpx.Response:
        model, _, action = request.url.path.rpartition("/models/")[2].partition(":")
        if request.method == "GET":
            info = ModelInfo("a/b", 0, "me", "A B")
            listed = request.url.path.endswith("/models")
            return httpx.Response(
                200, json=CODEC.encode_models([info]) if listed else CODEC.encode_model(info)
            )
        arrival = Arrival(action, model, action.startswith("stream"))
        self.requests.append(CODEC.decode_request(json.loads(request.content), arrival))
        if action == "countTokens":
            return httpx.Response(200, json=CODEC.encode_token_count(42))
        parts = next(self.answers)
        stop = "tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop"
        answer = ChatResponse(
            "r1", "gpt-x", (Choice(parts, FinishReason(stop)),), Usage(7, 5, reasoning_tokens=2)
        )
        action = f"{action}?{request.url.query.decode()}"
        reply = Reply(self.requests[-1], "a1b2c3", 1_700_000_000, action)
        if not arrival.stream:
            return httpx.Response(200, json=CODEC.encode_response(answer, reply)[0])
        encoder = CODEC.stream_encoder(reply)
        data = b"".join(encoder.encode([event]) for event in self.change(replay(answer)))
        return httpx.Response(200, content=data, headers={"content-type": CODEC.stream_content_type})


def test_a_plain_question() -> None:
    hub = Hub((Thinking("hm"), Text("hello")))
    config = types.GenerateContentConfig(
        system_instruction="be brief",
        temperature=0.5,
        max_output_tokens=9,
        stop_sequences=["x"],
        thinking_config=types.ThinkingConfig(thinking_budget=100, include_thoughts=True),
    )
    answer = hub.client().models.generate_content(model="team/fast", contents="hi", config=config)
    assert answer.text == "hello"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.thoughts_token_count == 2
    request = hub.requests[0]
    assert (request.model, request.instructions) == ("team/fast", (Text("be brief"),))
    assert (request.temperature, request.max_tokens, request.stop) == (0.5, 9, ("x",))
    assert request.reasoning is not None
    assert (request.reasoning.budget, request.reasoning.show) == (100, True)


def get_word(which: str) -> str:
    """Get a word."""
    return f"the {which} word"


def test_a_function_that_the_sdk_runs_itself() -> None:
    signed = Thinking("I need it", Signature("c2lnbmVk", "anthropic"))
    hub = Hub((signed, ToolCall("call_9", "get_word", '{"which":"last"}')), (Text("done"),))
    config = types.GenerateContentConfig(tools=[get_word])
    assert hub.client().models.generate_content(model="m", contents="hi", config=config).text == "done"
    first, second = hub.requests
    tool = first.tools[0]
    assert isinstance(tool, Tool)
    assert tool.parameters is not None
    assert tool.parameters["properties"]["which"]["type"] == "string"
    thought, call = second.messages[1].parts
    assert isinstance(thought, Thinking)
    assert (thought.text, thought.signature) == (signed.text, signed.signature)
    assert isinstance(call, ToolCall)
    result = second.messages[2].parts[0]
    assert isinstance(result, ToolResult)
    assert (result.call_id, result.content) == (call.id, (Text("the last word"),))


def test_a_chat_that_streams() -> None:
    signed = Thinking("I think so", Signature("c2lnbmVk", "anthropic"))
    hub = Hub((signed, Text("hello world")), (Text("bye"),))
    chat = hub.client().chats.create(model="m")
    words = [piece.text for piece in chat.send_message_stream("hi")]
    assert "".join(word or "" for word in words) == "hello world"
    assert next(chat.send_message_stream("again")).text == "bye"
    roles = [message.role for message in hub.requests[1].messages]
    assert roles == ["user", "assistant", "user"]
    thought, text = hub.requests[1].messages[1].parts
    assert isinstance(thought, Thinking)
    assert (thought.text, thought.signature) == (signed.text, signed.signature)
    assert text == Text("hello world")


def test_images_and_schemas() -> None:
    hub = Hub((Text('{"a":1}'),))
    png = bytes(range(250, 256)) * 4
    config = types.GenerateContentConfig(
        response_mime_type="application/json",
        response_schema=types.Schema(
            type=types.Type.OBJECT, properties={"a": types.Schema(type=types.Type.INTEGER)}
        ),
    )
    contents = ["look", types.Part.from_bytes(data=png, mime_type="image/png")]
    hub.client().models.generate_content(model="m", contents=contents, config=config)
    request = hub.requests[0]
    image = request.messages[0].parts[1]
    assert image.source.data == "+vv8/f7/" * 4  # type: ignore[union-attr]
    assert request.output_format is not None
    assert request.output_format.schema == {"type": "object", "properties": {"a": {"type": "integer"}}}


def test_a_stream_that_breaks_is_an_error() -> None:
    hub = Hub((Text("hello"),))
    hub.change = lambda events: [*events[:3], Failure(ChatError("overloaded", "too much", 529))]
    with pytest.raises(genai_errors.APIError, match="too much"):
        list(hub.client().models.generate_content_stream(model="m", contents="hi"))


def test_counting_and_lists() -> None:
    client = Hub().client()
    assert client.models.count_tokens(model="m", contents="hi").total_tokens == 42
    listed: list[Any] = list(client.models.list())
    assert [one.name for one in listed] == ["models/a/b"]
    assert listed[0].input_token_limit == 131_072
    assert client.models.get(model="a/b").display_name == "A B"
