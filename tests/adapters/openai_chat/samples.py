"""Hand-made requests that use every corner of the protocol, and short ways to the codec."""

from __future__ import annotations

from typing import Any

from adapters.canonical import ChatRequest
from adapters.codec import Arrival, Encoded, Reply, TargetModel
from adapters.openai_chat import CODEC

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
USER = {"role": "user", "content": "Hi"}


def tool(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **more}}


def call(call_id: str, name: str = "get_weather", arguments: str = '{"city":"Rome"}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: Any = "21 degrees") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def decode(body: dict[str, Any]) -> ChatRequest:
    return CODEC.decode_request(body, Arrival())


def encode(request: ChatRequest, model: str = "gpt-4o", provider: str = "", base_url: str = "") -> Encoded:
    return CODEC.encode_request(request, TargetModel(model, provider, base_url))


def reply(body: dict[str, Any] | None = None) -> Reply:
    given = {"model": "client-model", "messages": [USER], **(body or {})}
    return Reply(decode(given), "0123456789abcdef01234567", 1_700_000_000)


def user(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts), **more}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def image(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(**given: str) -> dict[str, Any]:
    return {"type": "file", "file": given}


def sound(data: str, form: str) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": form}}


def assistant(content: Any = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


PARAMETERS: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 100,
    "metadata": {"task": "t"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "omni-moderation-latest"},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x = 1"},
    "presence_penalty": 0.25,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    "prompt_cache_retention": "24h",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": SCHEMA, "strict": True},
    },
    "safety_identifier": "u-1",
    "seed": 7,
    "service_tier": "flex",
    "stop": ["a", "b"],
    "store": False,
    "temperature": 0.7,
    "tool_choice": "required",
    "tools": [tool(description="Weather", strict=True)],
    "top_logprobs": 3,
    "top_p": 0.9,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
}
"""A value for each parameter that a non-reasoning model takes beside model, messages and streaming."""

REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"messages": [{"role": "system", "content": "Be brief."}, USER]},
    "developer": {"messages": [{"role": "developer", "content": "Be brief."}, USER]},
    "list content": {"messages": [user(text("Hi"))]},
    "two texts": {"messages": [user(text("a"), text("b"))]},
    "names": {"messages": [{"role": "user", "content": "Hi", "name": "ann"}]},
    "empty answer": {"messages": [USER, assistant(""), USER]},
    "null content": {"messages": [USER, assistant(tool_calls=[call("c1")]), result("c1")]},
    "no content": {
        "messages": [USER, {"role": "assistant", "tool_calls": [call("c1")]}, result("c1", [text("x")])]
    },
    "empty content beside calls": {
        "messages": [USER, assistant("", tool_calls=[call("c1")]), result("c1", "")]
    },
    "leftovers of an answer": {
        "messages": [USER, assistant("Hello", refusal=None, annotations=[], audio=None), USER]
    },
    "refusal": {"messages": [USER, assistant(refusal="I cannot"), USER]},
    "refusal part": {"messages": [USER, assistant([{"type": "refusal", "refusal": "No"}]), USER]},
    "audio of before": {"messages": [USER, assistant(audio={"id": "audio_1"}), USER]},
    "images": {
        "messages": [
            user(
                image(f"data:image/png;base64,{PNG}", detail="low"),
                image("https://example.com/cat.jpg"),
                image("data:image/svg+xml,%3Csvg/%3E"),
            )
        ]
    },
    "files and sound": {
        "messages": [
            user(
                file(filename="a.pdf", file_data="data:application/pdf;base64,JVBERg=="),
                file(file_id="file-1"),
                file(filename="b.pdf", file_data="JVBERg=="),
                file(filename="c.txt", file_data="data:text/plain;base64,aGk="),
                file(filename="d.png", file_data=f"data:image/png;base64,{PNG}"),
                sound("UklGRg==", "wav"),
                sound("SUQz", "mp3"),
            )
        ]
    },
    "parallel calls": {
        "messages": [
            USER,
            assistant("Two.", tool_calls=[call("c1"), call("c2", arguments="{bad")]),
            result("c1"),
            result("c2"),
            USER,
        ],
        "tools": [tool()],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    },
    "allowed tools": {
        "messages": [USER],
        "tools": [tool("a"), tool("b"), {"type": "custom", "custom": {"name": "c"}}],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "auto",
                "tools": [
                    {"type": "function", "function": {"name": "a"}},
                    {"type": "custom", "custom": {"name": "c"}},
                ],
            },
        },
    },
    "custom tools": {
        "messages": [
            USER,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
                ],
            },
            result("c1"),
        ],
        "tools": [
            {
                "type": "custom",
                "custom": {
                    "name": "patch",
                    "description": "d",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /.+/"}},
                },
            },
            {"type": "custom", "custom": {"name": "free", "format": {"type": "text"}}},
        ],
        "tool_choice": {"type": "custom", "custom": {"name": "patch"}},
    },
    "legacy functions": {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":2}'}},
            {"role": "function", "name": "f", "content": "2"},
        ],
        "functions": [{"name": "f", "description": "d", "parameters": SCHEMA}],
        "function_call": {"name": "f"},
    },
    "stop as text": {"messages": [USER], "stop": "END"},
    "older limit": {"messages": [USER], "max_tokens": 5},
    "json mode": {"messages": [USER], "response_format": {"type": "json_object"}},
    "text format": {"messages": [USER], "response_format": {"type": "text"}},
    "unknown keys everywhere": {
        "messages": [
            {"role": "system", "content": [text("s", cache_control={"type": "ephemeral"})]},
            user(text("u", prompt_cache_breakpoint={"mode": "explicit"})),
            user({**image("https://example.com/a.png", x=1), "y": 2}),
            user({"type": "hologram", "hologram": {"beam": 1}}, weight=1),
            assistant(
                "a",
                prefix=True,
                tool_calls=[
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}", "q": 1},
                        "index": 0,
                        "z": 1,
                    }
                ],
            ),
            {**result("c1"), "name": "f", "w": [1]},
        ],
        "tools": [
            {**tool("f", strange={"a": 1}), "cache_control": {"type": "ephemeral"}},
            {"type": "odd", "odd": 1},
        ],
        "tool_choice": "auto",
        "a_field_nobody_heard_of": {"deep": [1, 2.5, "ü"]},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": SCHEMA, "k": 1},
            "m": 2,
        },
    },
}
"""Requests that have to come out as they came in."""
