"""Gemini: https://ai.google.dev/api/generate-content"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.clients.script import Asked, Json, Reply, Tool, plain

MEDIA = "text/event-stream"
USAGE = {"promptTokenCount": 50, "candidatesTokenCount": 7, "totalTokenCount": 57}


def read(body: Json) -> Asked:
    tools = tuple(
        Tool(function["name"])
        for tool in body.get("tools") or []
        for function in tool.get("functionDeclarations") or []
    )
    results = []
    for content in body["contents"]:
        for part in content["parts"]:
            if "functionResponse" in part:
                response = part["functionResponse"]
                results.append((response["name"], _text(response)))
    config = body.get("generationConfig") or {}
    return Asked(tools, tuple(results), config.get("responseJsonSchema") or config.get("responseSchema"))


def _text(response: Json) -> str:
    """A result is any object; what is not text in it stays JSON."""
    pieces = [plain(value) for value in response["response"].values()]
    return "\n".join([*pieces, *(plain(part) for part in response.get("parts", []))])


def _parts(reply: Reply) -> list[Json]:
    parts: list[Json] = []
    if reply.thought:
        parts.append({"thought": True, "text": reply.thought})
    parts += [{"text": f"{word} "} for word in reply.text.split(" ")] if reply.text else []
    calls: list[Json] = [
        {"functionCall": {"name": call.tool.name, "args": call.arguments}} for call in reply.calls
    ]
    if calls and reply.signature:
        # Of parallel calls only the first is signed: https://ai.google.dev/gemini-api/docs/thought-signatures
        calls[0]["thoughtSignature"] = reply.signature
    return [*parts, *calls]


def _answer(parts: list[Json], reply: Reply, model: str, finish: str | None) -> Json:
    candidate: Json = {"index": 0, "content": {"role": "model", "parts": parts}}
    if finish:
        candidate["finishReason"] = finish
    head = {"modelVersion": model, "responseId": reply.id}
    return {"candidates": [candidate], "usageMetadata": USAGE, **head}


def whole(reply: Reply, model: str) -> Json:
    return _answer(_parts(reply), reply, model, "STOP")


def stream(reply: Reply, model: str) -> Iterator[str]:
    parts = _parts(reply)
    for position, part in enumerate(parts):
        finish = "STOP" if position == len(parts) - 1 else None
        yield f"data: {json.dumps(_answer([part], reply, model, finish))}\n\n"


def error(status: int) -> Json:
    kind = "INVALID_ARGUMENT" if status == 400 else "UNAVAILABLE"
    return {"error": {"code": status, "message": "the script says no", "status": kind}}
