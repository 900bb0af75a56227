"""OpenAI Chat Completions: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.clients.script import Asked, Json, Reply, Tool, plain

USAGE = {"prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57}
MEDIA = "text/event-stream"


def read(body: Json) -> Asked:
    tools = []
    for tool in body.get("tools") or []:
        kind = tool["type"]
        tools.append(Tool(tool[kind]["name"], kind))
    names: dict[str, str] = {}
    results = []
    for message in body["messages"]:
        for call in message.get("tool_calls") or []:
            names[call["id"]] = call[call.get("type", "function")]["name"]
        if message["role"] == "tool":
            # A result without its call is an error upstream, and so it is here.
            results.append((names[message["tool_call_id"]], plain(message["content"])))
    wanted = body.get("response_format") or {}
    schema = wanted.get("json_schema", {}).get("schema") if wanted.get("type") == "json_schema" else None
    return Asked(tuple(tools), tuple(results), schema)


def _calls(reply: Reply) -> list[Json]:
    calls: list[Json] = []
    for call in reply.calls:
        if call.tool.kind == "custom":
            inner: Json = {"name": call.tool.name, "input": call.arguments["input"]}
        else:
            inner = {"name": call.tool.name, "arguments": json.dumps(call.arguments)}
        calls.append({"id": call.id, "type": call.tool.kind, call.tool.kind: inner})
    return calls


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.calls else "stop"


def whole(reply: Reply, model: str) -> Json:
    message: Json = {"role": "assistant", "content": reply.text or None}
    if reply.thought:
        message["reasoning_content"] = reply.thought
    if reply.calls:
        message["tool_calls"] = _calls(reply)
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    head = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
    }
    return {**head, "choices": [choice], "usage": USAGE}


def stream(reply: Reply, model: str) -> Iterator[str]:
    head = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": model,
    }

    def chunk(delta: Json, finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

    yield chunk({"role": "assistant", "content": ""})
    if reply.thought:
        yield chunk({"reasoning_content": reply.thought})
    for word in reply.text.split(" ") if reply.text else []:
        yield chunk({"content": f"{word} "})
    for index, call in enumerate(_calls(reply)):
        kind = call["type"]
        field = "input" if kind == "custom" else "arguments"
        text = call[kind][field]
        first = {**call, "index": index, kind: {**call[kind], field: ""}}
        yield chunk({"tool_calls": [first]})
        for piece in (text[:9], text[9:]):
            yield chunk({"tool_calls": [{"index": index, kind: {field: piece}}]})
    yield chunk({}, _finish(reply))
    yield f"data: {json.dumps({**head, 'choices': [], 'usage': USAGE})}\n\n"
    yield "data: [DONE]\n\n"


def error(status: int) -> Json:
    kind = "invalid_request_error" if status == 400 else "server_error"
    return {"error": {"message": "the script says no", "type": kind, "param": None, "code": None}}
