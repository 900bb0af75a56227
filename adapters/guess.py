"""Which protocol a request's body is written in, by marks that only one of them has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Body = Mapping[str, Any]

_ANTHROPIC = frozenset(("anthropic_version", "stop_sequences", "context_management", "mcp_servers"))
_OLLAMA = frozenset(("options", "keep_alive", "think", "format"))
_CHAT = frozenset(("max_completion_tokens", "response_format", "stop", "seed", "logprobs", "functions")) | {
    "n",
    "stream_options",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "reasoning_effort",
    "parallel_tool_calls",
    "user",
}
_ANTHROPIC_BLOCKS = frozenset(
    ("tool_use", "tool_result", "thinking", "redacted_thinking", "document", "image")
)
_CHAT_PARTS = frozenset(("image_url", "input_audio", "file"))


def protocol_of(body: Body) -> str | None:
    """The built-in protocol that `body` most likely is a request of; None: it looks like none.

    A body that could be of several, such as one with nothing but `model` and `messages`, is `openai`.
    """
    return next((name for name, matches in _TABLE if matches(body)), None)


def _is_anthropic(body: Body) -> bool:
    if "messages" not in body:
        return False
    if "system" in body or not _ANTHROPIC.isdisjoint(body) or isinstance(body.get("thinking"), dict):
        return True
    if any("input_schema" in tool for tool in _objects(body.get("tools"))):
        return True
    if any(part.get("type") in _ANTHROPIC_BLOCKS for part in _parts(body)):
        return True
    return _anthropic_alone(body)


def _anthropic_alone(body: Body) -> bool:
    """`max_tokens` is required there; alone it is no mark of a chat completion, whose clients send more."""
    roles = {message.get("role") for message in _objects(body.get("messages"))}
    return (
        "max_tokens" in body
        and roles <= {"user", "assistant"}
        and _CHAT.isdisjoint(body)
        and not any(part.get("type") in _CHAT_PARTS for part in _parts(body))
        and not any("function" in tool for tool in _objects(body.get("tools")))
    )


def _is_ollama(body: Body) -> bool:
    if "prompt" in body or ("messages" in body and not _OLLAMA.isdisjoint(body)):
        return True
    return any("images" in message for message in _objects(body.get("messages")))


_TABLE: tuple[tuple[str, Callable[[Body], bool]], ...] = (
    ("gemini", lambda body: not {"contents", "content", "requests"}.isdisjoint(body)),
    ("openai-responses", lambda body: "input" in body),
    ("ollama", _is_ollama),
    ("anthropic", _is_anthropic),
    ("openai", lambda body: "messages" in body),
)


def _objects(value: Any) -> Iterator[Body]:
    return (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else iter(())


def _parts(body: Body) -> Iterator[Body]:
    for message in _objects(body.get("messages")):
        yield from _objects(message.get("content"))
