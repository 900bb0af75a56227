"""OpenAI Responses: https://platform.openai.com/docs/api-reference/responses and …/responses-streaming"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from tests.clients.script import Asked, Call, Json, Reply, Tool, plain

MEDIA = "text/event-stream"
USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 57,
}


def _tools(declared: Iterable[Json], namespace: str | None = None) -> Iterator[Tool]:
    for tool in declared:
        match tool["type"]:
            case "namespace":
                yield from _tools(tool["tools"], tool["name"])
            case "function" | "custom":
                yield Tool(tool["name"], tool["type"], namespace)
            case "tool_search":
                yield Tool("tool_search", "search")


def read(body: Json) -> Asked:
    tools = list(_tools(body.get("tools") or []))
    names: dict[str, str] = {}
    results = []
    items = body["input"] if isinstance(body["input"], list) else []
    for item in items:
        match item.get("type", "message"):
            case "additional_tools":
                tools += _tools(item["tools"])
            case "function_call" | "custom_tool_call":
                names[item["call_id"]] = item["name"]
            case "function_call_output" | "custom_tool_call_output":
                results.append((names[item["call_id"]], plain(item["output"])))
            case "tool_search_output":
                results.append(("tool_search", ""))
                tools += _tools(item.get("tools") or [])
    wanted = (body.get("text") or {}).get("format") or {}
    return Asked(tuple(tools), tuple(results), wanted.get("schema"))


def _call(call: Call) -> Json:
    common: Json = {"call_id": call.id, "status": "completed"}
    if call.tool.namespace:
        common["namespace"] = call.tool.namespace
    match call.tool.kind:
        case "search":
            item = {"type": "tool_search_call", "execution": "client", "arguments": call.arguments}
            return {"id": f"tsc_{call.id}", **item, **common}
        case "custom":
            item = {"type": "custom_tool_call", "name": call.tool.name, "input": call.arguments["input"]}
            return {"id": f"ctc_{call.id}", **item, **common}
        case _:
            text = json.dumps(call.arguments)
            item = {"type": "function_call", "name": call.tool.name, "arguments": text}
            return {"id": f"fc_{call.id}", **item, **common}


def _output(reply: Reply) -> list[Json]:
    output: list[Json] = []
    if reply.thought:
        summary = [{"type": "summary_text", "text": reply.thought}]
        reasoning = {"type": "reasoning", "id": f"rs_{reply.id}", "summary": summary, "status": "completed"}
        output.append({**reasoning, "encrypted_content": reply.signature})
    if reply.text:
        content = [{"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}]
        message = {"type": "message", "id": f"msg_{reply.id}", "status": "completed", "role": "assistant"}
        output.append({**message, "content": content})
    return output + [_call(call) for call in reply.calls]


def _response(identifier: str, model: str, status: str, output: list[Json]) -> Json:
    return {
        "id": f"resp_{identifier}",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "model": model,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": USAGE if status == "completed" else None,
    }


def whole(reply: Reply, model: str) -> Json:
    return _response(reply.id, model, "completed", _output(reply))


def _item_events(item: Json, place: Json) -> Iterator[tuple[str, Json]]:
    """The events between `added` and `done` of an item."""
    match item["type"]:
        case "message":
            part = item["content"][0]
            here = {**place, "content_index": 0}
            yield "response.content_part.added", {**here, "part": {**part, "text": ""}}
            for word in part["text"].split(" "):
                yield "response.output_text.delta", {**here, "delta": f"{word} ", "logprobs": []}
            yield "response.output_text.done", {**here, "text": part["text"], "logprobs": []}
            yield "response.content_part.done", {**here, "part": part}
        case "reasoning":
            part = item["summary"][0]
            here = {**place, "summary_index": 0}
            yield "response.reasoning_summary_part.added", {**here, "part": {**part, "text": ""}}
            yield "response.reasoning_summary_text.delta", {**here, "delta": part["text"]}
            yield "response.reasoning_summary_text.done", {**here, "text": part["text"]}
            yield "response.reasoning_summary_part.done", {**here, "part": part}
        case "function_call":
            yield "response.function_call_arguments.delta", {**place, "delta": item["arguments"][:9]}
            yield "response.function_call_arguments.delta", {**place, "delta": item["arguments"][9:]}
            done = {"arguments": item["arguments"], "name": item["name"]}
            yield "response.function_call_arguments.done", {**place, **done}
        case "custom_tool_call":
            yield "response.custom_tool_call_input.delta", {**place, "delta": item["input"]}
            yield "response.custom_tool_call_input.done", {**place, "input": item["input"]}


_UNFINISHED = {"message": "content", "reasoning": "summary"}
_UNSAID = {"function_call": "arguments", "custom_tool_call": "input"}


def _events(reply: Reply, model: str) -> Iterator[tuple[str, Json]]:
    output = _output(reply)
    begun = _response(reply.id, model, "in_progress", [])
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(output):
        fresh = {**item, "status": "in_progress"}
        if field := _UNFINISHED.get(item["type"]):
            fresh[field] = []
        if field := _UNSAID.get(item["type"]):
            fresh[field] = ""
        yield "response.output_item.added", {"output_index": index, "item": fresh}
        yield from _item_events(item, {"item_id": item["id"], "output_index": index})
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield "response.completed", {"response": _response(reply.id, model, "completed", output)}


def stream(reply: Reply, model: str) -> Iterator[str]:
    for number, (kind, fields) in enumerate(_events(reply, model)):
        document = {"type": kind, "sequence_number": number, **fields}
        yield f"event: {kind}\ndata: {json.dumps(document)}\n\n"


def error(status: int) -> Json:
    kind = "invalid_request_error" if status == 400 else "server_error"
    return {"error": {"message": "the script says no", "type": kind, "param": None, "code": None}}
