"""What each provider refuses in a conversation, beyond the types of its SDK. Empty where all is well.

Sources: https://platform.openai.com/docs/guides/function-calling (every call has its output, by id),
https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use (results first, right after
their calls), …/build-with-claude/extended-thinking (budget), https://ai.google.dev/gemini-api/docs/function-calling
(as many responses as calls, in the next turn), https://docs.ollama.com/capabilities/tool-calling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]


def broken(protocol: str, body: Json) -> list[str]:
    """The rules that a body for an upstream breaks."""
    return list(_RULES[protocol](body))


def _chat(body: Json) -> Iterator[str]:
    waiting: list[str] = []
    for at, message in enumerate(body["messages"]):
        role, calls = message["role"], message.get("tool_calls")
        if role == "tool":
            if message["tool_call_id"] not in waiting:
                yield f"messages[{at}] answers no call before it"
            else:
                waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield f"messages[{at}] comes before the results of {waiting}"
        if calls == []:
            yield f"messages[{at}].tool_calls is empty"
        if (
            role == "assistant"
            and message.get("content") is None
            and not calls
            and not message.get("refusal")
        ):
            yield f"messages[{at}] says nothing"
        waiting = [call["id"] for call in calls or ()]
        yield from _calls(waiting, f"messages[{at}]", 40)
    if waiting:
        yield f"no results of {waiting}"
    if len(body.get("stop") or ()) > 4 and not isinstance(body["stop"], str):
        yield "more than four stop sequences"
    if "tool_choice" in body and not body.get("tools"):
        yield "a tool choice without tools"


def _responses(body: Json) -> Iterator[str]:
    made: list[str] = []
    answered: list[str] = []
    items = body["input"] if isinstance(body["input"], list) else []
    for at, item in enumerate(items):
        kind = item.get("type", "message")
        if kind in ("function_call", "custom_tool_call"):
            made.append(item["call_id"])
        elif kind in ("function_call_output", "custom_tool_call_output"):
            if item["call_id"] not in made:
                yield f"input[{at}] answers no call before it"
            answered.append(item["call_id"])
        elif item.get("role") == "assistant" and not _is_output(item["content"]):
            yield f"input[{at}] is the assistant's and has other parts than output"
        if kind == "message" and not item["content"]:
            yield f"input[{at}] is empty"
    yield from _calls(made, "input")
    yield from _calls(answered, "input: results")
    if set(made) - set(answered):
        yield f"no results of {set(made) - set(answered)}"
    if body.get("max_output_tokens", 16) < 16:
        yield "max_output_tokens below 16"


def _is_output(content: Any) -> bool:
    return isinstance(content, str) or all(part["type"] in ("output_text", "refusal") for part in content)


_ANTHROPIC_ID = re.compile(r"[a-zA-Z0-9_-]+")


def _anthropic(body: Json) -> Iterator[str]:
    messages = body["messages"]
    if not messages or messages[0]["role"] != "user":
        yield "does not begin with the user"
    waiting: list[str] = []
    for at, message in enumerate(messages):
        where, content = f"messages[{at}]", message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if at and message["role"] == messages[at - 1]["role"]:
            yield f"{where} has the role of the one before"
        if not blocks:
            yield f"{where} is empty"
        yield from (f"{where} has a blank text" for text in _texts(blocks) if not text.strip())
        if message["role"] == "system":
            continue
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if results != waiting and sorted(results) != sorted(waiting):
            yield f"{where} answers {results}, not {waiting}"
        if any(block["type"] == "tool_result" for block in blocks[len(results) :]):
            yield f"{where} does not begin with the results"
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        yield from _calls(waiting, where, 1000)
        yield from (f"{where}: id {one!r}" for one in waiting if not _ANTHROPIC_ID.fullmatch(one))
    if waiting:
        yield f"no results of {waiting}"
    last = messages[-1]
    end = last["content"] if isinstance(last["content"], str) else last["content"][-1].get("text", "")
    if last["role"] == "assistant" and end != end.rstrip():
        yield "the last turn ends in white space"
    yield from _anthropic_parameters(body)


def _anthropic_parameters(body: Json) -> Iterator[str]:
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        yield "the budget is not within max_tokens"
    if thinking.get("type") in ("enabled", "adaptive"):
        if body.get("temperature", 1) != 1 or "top_k" in body:
            yield "sampling while it thinks"
        if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
            yield "a forced call while it thinks"
    if not 0 <= body.get("temperature", 0) <= 1:
        yield "a temperature beyond 1"


def _texts(blocks: Any) -> Iterator[str]:
    for block in blocks:
        if block["type"] == "text":
            yield block["text"]
        elif block["type"] == "tool_result" and isinstance(block.get("content"), list):
            yield from _texts(block["content"])


def _gemini(body: Json) -> Iterator[str]:
    if not body["contents"]:
        yield "no contents"
    waiting: list[str] = []
    before = ""
    for at, content in enumerate(body["contents"]):
        where, parts = f"contents[{at}]", content["parts"]
        if not parts:
            yield f"{where} is empty"
        if content["role"] == before:
            yield f"{where} has the role of the one before"
        before = content["role"]
        names = [part["functionResponse"]["name"] for part in parts if "functionResponse" in part]
        if names != waiting:
            yield f"{where} answers {names}, not {waiting}"
        waiting = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
        if waiting and at == 0:
            yield "begins with a call"
        if any(part.get("text") == "" and len(part) == 1 for part in parts):
            yield f"{where} has an empty text"
    if waiting:
        yield f"no responses to {waiting}"
    config = body.get("generationConfig") or {}
    budget = (config.get("thinkingConfig") or {}).get("thinkingBudget", 0)
    if "maxOutputTokens" in config and budget >= config["maxOutputTokens"] and budget > 128:
        yield "the thoughts leave no room for an answer"


def _ollama(body: Json) -> Iterator[str]:
    made: list[str] = []
    for at, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if message["tool_call_id"] not in made:
                yield f"messages[{at}] answers no call before it"
            else:
                made.remove(message["tool_call_id"])
        for call in message.get("tool_calls", ()):
            made.append(call["id"])
            if not isinstance(call["function"]["arguments"], dict):
                yield f"messages[{at}] has arguments that are no object"
    if made:
        yield f"no results of {made}"


def _calls(ids: list[str], where: str, longest: int = 64) -> Iterator[str]:
    if len(set(ids)) < len(ids):
        yield f"{where} has an id twice"
    if any(not one or len(one) > longest for one in ids):
        yield f"{where} has an id that is empty or too long"


_RULES: dict[str, Callable[[Json], Iterator[str]]] = {
    "openai": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
}
