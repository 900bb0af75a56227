"""Ollama: https://github.com/ollama/ollama/blob/main/docs/api.md"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.clients.script import Asked, Json, Reply, Tool, plain

MEDIA = "application/x-ndjson"
HEAD = {"created_at": "2026-10-01T00:00:00Z"}
END = {"done": True, "done_reason": "stop", "prompt_eval_count": 50, "eval_count": 7, "total_duration": 9}


def read(body: Json) -> Asked:
    tools = tuple(Tool(tool["function"]["name"]) for tool in body.get("tools") or [])
    called: list[str] = []
    results: list[tuple[str, str]] = []
    for message in body["messages"]:
        called += [call["function"]["name"] for call in message.get("tool_calls") or []]
        if message["role"] == "tool":
            # No ids here: results come in the order of the calls, or tell the name.
            name = message.get("tool_name") or called[len(results)]
            results.append((name, plain(message["content"])))
    schema = body.get("format")
    return Asked(tools, tuple(results), schema if isinstance(schema, dict) else None)


def _message(reply: Reply) -> Json:
    message: Json = {"role": "assistant", "content": reply.text}
    if reply.thought:
        message["thinking"] = reply.thought
    if reply.calls:
        message["tool_calls"] = [
            {"function": {"name": call.tool.name, "arguments": call.arguments}} for call in reply.calls
        ]
    return message


def whole(reply: Reply, model: str) -> Json:
    return {"model": model, **HEAD, "message": _message(reply), **END}


def stream(reply: Reply, model: str) -> Iterator[str]:
    def line(message: Json, end: Json) -> str:
        return json.dumps({"model": model, **HEAD, "message": message, **end}) + "\n"

    going = {"done": False}
    if reply.thought:
        yield line({"role": "assistant", "content": "", "thinking": reply.thought}, going)
    for word in reply.text.split(" ") if reply.text else []:
        yield line({"role": "assistant", "content": f"{word} "}, going)
    if reply.calls:
        yield line(_message(Reply(calls=reply.calls)), going)
    yield line({"role": "assistant", "content": ""}, END)


def error(status: int) -> Json:
    return {"error": "the script says no"}
