"""The same wishes in the words of each protocol, and calls made of them."""

from __future__ import annotations

import json
from typing import Any

from adapters.codec import Codec
from adapters.peek import peek
from adapters.registry import codec as codec_of
from adapters.registry import codecs
from routing.call import Call, call_at
from routing.inquiry import Inquiry
from routing.plan import GroupPlan, prepare
from routing.routes import RouteTable
from routing.table import Group, Table

PATHS = {
    "openai": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/any:generateContent",
    "ollama": "/api/chat",
}
PNG = "iVBORw0KGgo="
_ROUTES = RouteTable(codecs())


def call(
    protocol: str, body: dict[str, Any], headers: dict[str, str] | None = None, *, path: str = ""
) -> Call:
    found = _ROUTES.find(path or PATHS[protocol])
    assert found is not None
    endpoint = next(each for each in found.endpoints["POST"] if each.codec.name == protocol)
    raw = {name.encode(): value.encode() for name, value in (headers or {}).items()}
    text = json.dumps(body).encode()
    return call_at(found, endpoint, query="", headers=raw, body=text, id="i", started=0.0)


def inquiry(call: Call, plan: GroupPlan | None = None) -> Inquiry:
    peeked = peek(call.body)
    return Inquiry(plan or plan_of(Group("g", ())), call, peeked, call.arrival.model or peeked.model or "")


def plan_of(group: Group, *others: Group) -> GroupPlan:
    known: dict[str, Codec] = {each.name: each for each in codecs()}
    return prepare(Table({each.name: each for each in (group, *others)}), known).groups[group.name]


def chat(protocol: str, text: str = "Hello", **wishes: Any) -> dict[str, Any]:
    """A request with `system`, `image`, `document`, `effort`, `tools` (names) and `calls` (names)."""
    body = _BODIES[protocol](text, wishes)
    if protocol != "gemini":
        body["model"] = wishes.get("model", "any")
    if protocol == "anthropic":
        body["max_tokens"] = wishes.get("max_tokens", 4096)
    return body


def _openai(text: str, wishes: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if wishes.get("image"):
        content.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})
    if wishes.get("document"):
        file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}
        content.append({"type": "file", "file": file})
    messages: list[dict[str, Any]] = []
    if "system" in wishes:
        messages.append({"role": "system", "content": wishes["system"]})
    messages.append({"role": "user", "content": content if len(content) > 1 else text})
    for at, name in enumerate(wishes.get("calls", ())):
        called = {"id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [called]})
        messages.append({"role": "tool", "tool_call_id": f"call_{at}", "content": "done"})
    body: dict[str, Any] = {"messages": messages}
    if "effort" in wishes:
        body["reasoning_effort"] = wishes["effort"]
    if "tools" in wishes:
        body["tools"] = [{"type": "function", "function": _function(name)} for name in wishes["tools"]]
    return body


def _responses(text: str, wishes: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "input_text", "text": text}]
    if wishes.get("image"):
        content.append({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"})
    if wishes.get("document"):
        data = f"data:application/pdf;base64,{PNG}"
        content.append({"type": "input_file", "filename": "a.pdf", "file_data": data})
    items: list[dict[str, Any]] = [{"role": "user", "content": content}]
    for at, name in enumerate(wishes.get("calls", ())):
        items.append({"type": "function_call", "call_id": f"call_{at}", "name": name, "arguments": "{}"})
        items.append({"type": "function_call_output", "call_id": f"call_{at}", "output": "done"})
    body: dict[str, Any] = {"input": items}
    if "system" in wishes:
        body["instructions"] = wishes["system"]
    if "effort" in wishes:
        body["reasoning"] = {"effort": wishes["effort"]}
    if "tools" in wishes:
        body["tools"] = [{"type": "function", **_function(name)} for name in wishes["tools"]]
    return body


def _anthropic(text: str, wishes: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    for wish, kind, media in (("image", "image", "image/png"), ("document", "document", "application/pdf")):
        if wishes.get(wish):
            content.append({"type": kind, "source": {"type": "base64", "media_type": media, "data": PNG}})
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    for at, name in enumerate(wishes.get("calls", ())):
        called = {"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{at}", "content": "done"}
        messages += [{"role": "assistant", "content": [called]}, {"role": "user", "content": [result]}]
    body: dict[str, Any] = {"messages": messages}
    if "system" in wishes:
        body["system"] = [{"type": "text", "text": wishes["system"], "cache_control": {"type": "ephemeral"}}]
    if "effort" in wishes:
        body |= {"thinking": {"type": "adaptive"}, "output_config": {"effort": wishes["effort"]}}
    if "tools" in wishes:
        schema = {"type": "object", "properties": {}}
        body["tools"] = [{"name": name, "input_schema": schema} for name in wishes["tools"]]
    return body


def _gemini(text: str, wishes: dict[str, Any]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": text}]
    for wish, media in (("image", "image/png"), ("document", "application/pdf")):
        if wishes.get(wish):
            parts.append({"inlineData": {"mimeType": media, "data": PNG}})
    contents: list[dict[str, Any]] = [{"role": "user", "parts": parts}]
    for name in wishes.get("calls", ()):
        contents.append({"role": "model", "parts": [{"functionCall": {"name": name, "args": {}}}]})
        result = {"functionResponse": {"name": name, "response": {"output": "done"}}}
        contents.append({"role": "user", "parts": [result]})
    body: dict[str, Any] = {"contents": contents}
    if "system" in wishes:
        body["systemInstruction"] = {"parts": [{"text": wishes["system"]}]}
    if "effort" in wishes:
        level = {"thinkingLevel": wishes["effort"].upper()}
        body["generationConfig"] = {"thinkingConfig": level}
    if "tools" in wishes:
        body["tools"] = [{"functionDeclarations": [_declaration(name) for name in wishes["tools"]]}]
    return body


def _ollama(text: str, wishes: dict[str, Any]) -> dict[str, Any]:
    user: dict[str, Any] = {"role": "user", "content": text}
    if wishes.get("image"):
        user["images"] = [PNG]
    messages = [{"role": "system", "content": wishes["system"]}] if "system" in wishes else []
    messages.append(user)
    for name in wishes.get("calls", ()):
        called = {"function": {"name": name, "arguments": {}}}
        messages.append({"role": "assistant", "content": "", "tool_calls": [called]})
        messages.append({"role": "tool", "tool_name": name, "content": "done"})
    body: dict[str, Any] = {"messages": messages}
    if "effort" in wishes:
        body["think"] = wishes["effort"]
    if "tools" in wishes:
        body["tools"] = [{"type": "function", "function": _function(name)} for name in wishes["tools"]]
    return body


def _function(name: str) -> dict[str, Any]:
    return {"name": name, "parameters": {"type": "object", "properties": {}}}


def _declaration(name: str) -> dict[str, Any]:
    return {"name": name, "parametersJsonSchema": {"type": "object", "properties": {}}}


_BODIES = {
    "openai": _openai,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
}

__all__ = ["PATHS", "call", "chat", "codec_of", "inquiry", "plan_of"]
