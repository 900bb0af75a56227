"""Sampling that the hub answers: a server asks for a model, and a group of the hub is the model.

By the server's `sampling` in the settings: `client` passes the question on, `group:NAME` answers it with
that group, `ask` does so with the active group after the user has agreed, `deny` refuses.
https://modelcontextprotocol.io/specification/2025-11-25/client/sampling
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND

from adapters.canonical import (
    Base64Source,
    ChatRequest,
    Choice,
    Media,
    Message,
    Part,
    StopReason,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from adapters.jsontext import dump, load_object
from hub.downstream.calls import Caller
from hub.model_tools.server import Models
from hub.settings.mcp import McpServerSettings
from routing.ask import AskFailed

METHOD = "sampling/createMessage"
REFUSED = -1
"""The specification's code for a sampling request that the user rejected."""
_HOUR = 3600.0
_STOP_REASONS: Mapping[StopReason, str] = {
    "stop_sequence": "stopSequence",
    "length": "maxTokens",
    "context_window": "maxTokens",
    "tool_calls": "toolUse",
}


class Sampling:
    """Makes the caller of a request one that answers sampling as the server's settings say."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.models: Models
        """Has to be set before the first request."""
        self._clock = clock
        self._spent: dict[str, deque[tuple[float, int]]] = {}

    def caller(self, server: str, settings: McpServerSettings, caller: Caller) -> Caller:
        if settings.sampling == "client":
            return caller
        return _Sampled(self, server, settings, caller)

    async def answer(
        self, server: str, settings: McpServerSettings, caller: Caller, params: Any
    ) -> dict[str, Any]:
        """The result of a `sampling/createMessage`. Raises MCPError."""
        if not isinstance(params, Mapping):
            raise MCPError(INVALID_PARAMS, f"{METHOD} without parameters")
        group = settings.sampling.removeprefix("group:") if settings.sampling != "ask" else None
        group = group if group is not None else self.models.active_group
        asked_for = settings.sampling == "ask" and caller.groups is not None
        if group is None or (asked_for and group not in (caller.groups or ())):
            raise MCPError(REFUSED, f"there is no group that may answer server {server!r}")
        self._check_budget(server, settings.sampling_budget)
        if settings.sampling == "ask":
            await self._agree(server, group, caller, params)
        request = _request(group, params)
        try:
            said = await self.models.ask(group, request, caller, None)
        except AskFailed as failed:
            raise MCPError(REFUSED, f"group {group} did not answer: {failed.error.message}") from failed
        self._note(server, said.response.usage)
        return _result(said.response.choices[0], said.response.model, with_tools=bool(request.tools))

    async def _agree(self, server: str, group: str, caller: Caller, params: Mapping[str, Any]) -> None:
        if (refusal := caller.refusal(server, "elicitation/create")) is not None:
            message = (
                f"server {server!r} needs the user's consent to ask a model, and this client cannot be asked"
            )
            raise MCPError(
                REFUSED, f"{message}; `sampling: group:NAME` in the settings needs none"
            ) from refusal
        answer = await caller.ask(
            "elicitation/create",
            {
                "mode": "form",
                "message": f"The MCP server {server} wants to ask the model group {group}:\n{_shown(params)}",
                "requestedSchema": {
                    "type": "object",
                    "properties": {"allow": {"type": "boolean", "title": "Let it ask", "default": True}},
                    "required": ["allow"],
                },
            },
        )
        if answer.get("action") != "accept" or (answer.get("content") or {}).get("allow") is not True:
            raise MCPError(REFUSED, "the user did not agree")

    def _check_budget(self, server: str, budget: int | None) -> None:
        if budget is None:
            return
        spent = self._spent.setdefault(server, deque())
        since = self._clock() - _HOUR
        while spent and spent[0][0] < since:
            spent.popleft()
        if sum(tokens for _, tokens in spent) >= budget:
            raise MCPError(
                REFUSED, f"server {server!r} has used its {budget} tokens of this hour (`sampling_budget`)"
            )

    def _note(self, server: str, usage: Usage | None) -> None:
        if usage is not None:
            tokens = usage.input_tokens + usage.output_tokens
            self._spent.setdefault(server, deque()).append((self._clock(), tokens))


class _Sampled(Caller):
    """A client, but for sampling."""

    def __init__(self, sampling: Sampling, server: str, settings: McpServerSettings, inner: Caller) -> None:
        self._sampling, self._server, self._settings, self._inner = sampling, server, settings, inner
        self.key = inner.key
        self.protocol_version = inner.protocol_version
        self.log_level = inner.log_level
        self.groups, self.key_name = inner.groups, inner.key_name
        self.wants_progress = inner.wants_progress
        self.can_be_asked = True
        self.one_request = inner.one_request
        capabilities = {name: value for name, value in inner.capabilities.items() if name != "sampling"}
        if settings.sampling != "deny":
            capabilities["sampling"] = {"tools": {}}
        self.capabilities = capabilities

    def outside(self) -> Caller:
        return _Sampled(self._sampling, self._server, self._settings, self._inner.outside())

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        await self._inner.notify(method, params)

    async def ask(self, method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        if method != METHOD:
            return await self._inner.ask(method, params)
        return await self._sampling.answer(self._server, self._settings, self._inner, params)

    def refusal(self, server: str, method: str) -> MCPError | None:
        if method != METHOD:
            return self._inner.refusal(server, method)
        if self._settings.sampling == "deny":
            return MCPError(METHOD_NOT_FOUND, f"server {server!r} may not ask for models here", method)
        return None


# ---------------------------------------------------------------- the wire and the canonical model


def _request(group: str, params: Mapping[str, Any]) -> ChatRequest:
    """Raises MCPError for parameters that are not those of `sampling/createMessage`."""
    messages = params.get("messages")
    if not isinstance(messages, list) or not messages:
        raise MCPError(INVALID_PARAMS, "`messages` must be a list, and not empty")
    names: dict[str, str] = {}
    tools = tuple(_tool(tool) for tool in params.get("tools") or ())
    choice = (params.get("toolChoice") or {}).get("mode")
    system = params.get("systemPrompt")
    return ChatRequest(
        model=group,
        messages=(
            *((Message("system", (Text(str(system)),)),) if system else ()),
            *(each for message in messages for each in _messages(message, names)),
        ),
        tools=tools,
        tool_choice=ToolChoice(choice) if tools and choice in ("auto", "required", "none") else None,
        max_tokens=_limit(params.get("maxTokens")),
        temperature=params.get("temperature"),
        stop=tuple(map(str, params.get("stopSequences") or ())),
    )


def _limit(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _messages(message: Any, names: dict[str, str]) -> list[Message]:
    """One turn; its tool results stand in a message of their own, before the rest."""
    if not isinstance(message, Mapping) or message.get("role") not in ("user", "assistant"):
        raise MCPError(INVALID_PARAMS, "a message needs the role user or assistant")
    content = message.get("content")
    blocks = content if isinstance(content, list) else [content]
    parts = [_part(block, names) for block in blocks]
    results = tuple(part for part in parts if isinstance(part, ToolResult))
    others = tuple(part for part in parts if not isinstance(part, ToolResult))
    turns = [Message("tool", results)] if results else []
    return [*turns, Message(message["role"], others)] if others else turns


def _part(block: Any, names: dict[str, str]) -> Part:
    kind = block.get("type") if isinstance(block, Mapping) else None
    match kind:
        case "text":
            return Text(str(block.get("text", "")))
        case "image" | "audio":
            return Media(kind, Base64Source(str(block.get("data", ""))), str(block.get("mimeType", "")))
        case "tool_use":
            call_id, name = str(block.get("id")), str(block.get("name"))
            names[call_id] = name
            return ToolCall(call_id, name, dump(block.get("input") or {}))
        case "tool_result":
            call_id = str(block.get("toolUseId"))
            content = tuple(_part(inner, names) for inner in block.get("content") or () if _is_shown(inner))
            if not content and block.get("structuredContent") is not None:
                content = (Text(json.dumps(block["structuredContent"], ensure_ascii=False)),)
            return ToolResult(call_id, content, names.get(call_id), is_error=bool(block.get("isError")))
        case "resource" if isinstance(block.get("resource"), Mapping) and "text" in block["resource"]:
            return Text(str(block["resource"]["text"]))
        case "resource_link":
            return Text(str(block.get("uri", "")))
        case _:
            raise MCPError(INVALID_PARAMS, f"content of the type {kind!r} cannot be put to a model")


def _is_shown(block: Any) -> bool:
    return isinstance(block, Mapping)


def _tool(tool: Any) -> Tool:
    if not isinstance(tool, Mapping) or not isinstance(tool.get("name"), str):
        raise MCPError(INVALID_PARAMS, "a tool needs a name")
    return Tool(tool["name"], tool.get("description"), tool.get("inputSchema"))


def _result(choice: Choice, model: str, *, with_tools: bool) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for part in choice.parts:
        match part:
            case Text(text) if text:
                blocks.append({"type": "text", "text": text})
            case Media(kind, Base64Source(data), media_type) if kind in ("image", "audio"):
                blocks.append({"type": kind, "data": data, "mimeType": media_type})
            case ToolCall(call_id, name, arguments):
                blocks.append(
                    {"type": "tool_use", "id": call_id, "name": name, "input": load_object(arguments) or {}}
                )
    if not with_tools:  # one block, as servers of before 2025-11-25 know it
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        content: Any = {"type": "text", "text": text} if text or not blocks else blocks[0]
    else:
        content = blocks or [{"type": "text", "text": ""}]
    stop_reason = _STOP_REASONS.get(choice.finish.unified, "endTurn")
    return {"role": "assistant", "content": content, "model": model, "stopReason": stop_reason}


def _shown(params: Mapping[str, Any], longest: int = 500) -> str:
    """The last thing that the server says to the model, for the user's eyes."""
    last = (params.get("messages") or [{}])[-1]
    content = last.get("content") if isinstance(last, Mapping) else None
    blocks = content if isinstance(content, list) else [content]
    text = " ".join(str(block.get("text", "")) for block in blocks if isinstance(block, Mapping)).strip()
    return text if len(text) <= longest else text[:longest] + "…"
