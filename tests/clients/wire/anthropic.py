"""Anthropic Messages: https://docs.anthropic.com/en/api/messages and …/messages-streaming"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.clients.script import Asked, Json, Reply, Tool, plain

MEDIA = "text/event-stream"
USAGE = {"input_tokens": 50, "output_tokens": 7}


def read(body: Json) -> Asked:
    # Server tools have a versioned type and cannot be called here.
    tools = tuple(
        Tool(tool["name"]) for tool in body.get("tools") or [] if tool.get("type", "custom") == "custom"
    )
    names: dict[str, str] = {}
    results = []
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        for block in blocks:
            if block["type"] == "tool_use":
                names[block["id"]] = block["name"]
            elif block["type"] == "tool_result":
                results.append((names[block["tool_use_id"]], plain(block.get("content"))))
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Asked(tools, tuple(results), wanted.get("schema"))


def _blocks(reply: Reply) -> list[Json]:
    blocks: list[Json] = []
    if reply.thought:
        blocks.append({"type": "thinking", "thinking": reply.thought, "signature": reply.signature})
    if reply.text:
        blocks.append({"type": "text", "text": reply.text})
    for call in reply.calls:
        identifier = call.id.replace("call", "toolu")
        blocks.append({"type": "tool_use", "id": identifier, "name": call.tool.name, "input": call.arguments})
    return blocks


def whole(reply: Reply, model: str) -> Json:
    stop = "tool_use" if reply.calls else "end_turn"
    head: Json = {"id": f"msg_{reply.id}", "type": "message", "role": "assistant", "model": model}
    return {**head, "content": _blocks(reply), "stop_reason": stop, "stop_sequence": None, "usage": USAGE}


def stream(reply: Reply, model: str) -> Iterator[str]:
    def event(document: Json) -> str:
        return f"event: {document['type']}\ndata: {json.dumps(document)}\n\n"

    end = whole(reply, model)
    begun = {**end, "content": [], "stop_reason": None, "usage": {"input_tokens": 50, "output_tokens": 1}}
    yield event({"type": "message_start", "message": begun})
    yield event({"type": "ping"})
    empty: Json
    for index, block in enumerate(end["content"]):
        match block["type"]:
            case "thinking":
                empty = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [
                    {"type": "thinking_delta", "thinking": block["thinking"]},
                    {"type": "signature_delta", "signature": block["signature"]},
                ]
            case "text":
                empty = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": f"{word} "} for word in block["text"].split(" ")]
            case _:
                empty = {**block, "input": {}}
                text = json.dumps(block["input"])
                deltas = [
                    {"type": "input_json_delta", "partial_json": one} for one in ("", text[:9], text[9:])
                ]
        yield event({"type": "content_block_start", "index": index, "content_block": empty})
        for delta in deltas:
            yield event({"type": "content_block_delta", "index": index, "delta": delta})
        yield event({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": end["stop_reason"], "stop_sequence": None}
    yield event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 7}})
    yield event({"type": "message_stop"})


def error(status: int) -> Json:
    kind = "invalid_request_error" if status == 400 else "api_error"
    return {"type": "error", "error": {"type": kind, "message": "the script says no"}}
