"""A client's next request: the answer that it got, put into the history as its protocol wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]


def next_request(protocol: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> Json:
    """`request` with `answer` and the user's next words (or the results of its calls) behind it."""
    return _NEXT[protocol](request, answer)


def _chat(request: Mapping[str, Any], answer: Mapping[str, Any]) -> Json:
    message = {k: v for k, v in answer["choices"][0]["message"].items() if v not in (None, [])}
    calls = message.get("tool_calls", ())
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in calls]
    more = results or [{"role": "user", "content": "Go on"}]
    return {**request, "messages": [*request["messages"], message, *more]}


def _responses(request: Mapping[str, Any], answer: Mapping[str, Any]) -> Json:
    given = request["input"]
    asked = [{"role": "user", "content": given}] if isinstance(given, str) else given
    calls = [item for item in answer["output"] if item["type"] == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": "done"} for call in calls
    ]
    more = results or [{"role": "user", "content": "Go on"}]
    return {**request, "store": False, "input": [*asked, *answer["output"], *more]}


def _anthropic(request: Mapping[str, Any], answer: Mapping[str, Any]) -> Json:
    calls = [block for block in answer["content"] if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "done"} for call in calls]
    more = {"role": "user", "content": results or "Go on"}
    said = {"role": "assistant", "content": answer["content"]}
    return {**request, "messages": [*request["messages"], said, more]}


def _gemini(request: Mapping[str, Any], answer: Mapping[str, Any]) -> Json:
    content = answer["candidates"][0]["content"]
    calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
    results = [
        {
            "functionResponse": {
                **{k: v for k, v in call.items() if k != "args"},
                "response": {"result": "done"},
            }
        }
        for call in calls
    ]
    more = {"role": "user", "parts": results or [{"text": "Go on"}]}
    return {**request, "contents": [*request["contents"], content, more]}


def _ollama(request: Mapping[str, Any], answer: Mapping[str, Any]) -> Json:
    message = answer["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "tool_name": call["function"]["name"], "content": "done"}
        for call in message.get("tool_calls", ())
    ]
    more = results or [{"role": "user", "content": "Go on"}]
    return {**request, "messages": [*request["messages"], message, *more]}


_NEXT: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Json]] = {
    "openai": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
}
