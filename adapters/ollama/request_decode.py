"""Ollama's `/api/chat` and `/api/generate` requests, read.

https://docs.ollama.com/api/chat, https://docs.ollama.com/api/generate
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters import reading
from adapters.canonical import (
    NO_EXTENSIONS,
    Base64Source,
    ChatRequest,
    Effort,
    Extensions,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    placed,
)
from adapters.errors import InvalidRequest
from adapters.jsontext import dump

PROTOCOL = "ollama"
ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
EFFORTS: dict[str, Effort] = {"low": "low", "medium": "medium", "high": "high", "max": "max"}

_CHAT = frozenset({"model", "messages", "tools", "stream", "format", "options", "think"}) | {
    "logprobs",
    "top_logprobs",
}
_GENERATE = (_CHAT - {"messages", "tools"}) | {"prompt", "system", "images"}
_OPTIONS = frozenset({"temperature", "top_p", "top_k", "num_predict", "stop", "seed"}) | {
    "presence_penalty",
    "frequency_penalty",
}
_MESSAGE = frozenset({"role", "content", "images", "thinking", "tool_calls", "tool_name", "tool_call_id"})


def decode_chat(body: Mapping[str, Any]) -> ChatRequest:
    messages = _Messages()
    for index, message in enumerate(reading.items(body, "messages")):
        messages.add(reading.as_mapping(message, f"messages[{index}]"), f"messages[{index}]")
    tools = tuple(
        _tool(reading.as_mapping(tool, f"tools[{index}]"), f"tools[{index}]")
        for index, tool in enumerate(reading.items(body, "tools"))
    )
    return _request(body, tuple(messages.done), tools, _CHAT)


def decode_generate(body: Mapping[str, Any]) -> ChatRequest:
    """A prompt as a conversation of one turn. `suffix`, `template`, `raw` and `context` stay Ollama's."""
    messages: list[Message] = []
    if system := reading.string(body, "system"):
        messages.append(Message("system", (Text(system),)))
    prompt = reading.string(body, "prompt") or ""
    parts: tuple[Part, ...] = (*_images(body, ""), Text(prompt, place="prompt"))
    messages.append(Message("user", parts))
    return _request(body, tuple(messages), (), _GENERATE)


def _request(
    body: Mapping[str, Any],
    messages: tuple[Message, ...],
    tools: tuple[Tool, ...],
    known: frozenset[str],
) -> ChatRequest:
    options = reading.mapping(body, "options") or {}
    limit = reading.integer(options, "num_predict", "options")
    kept = reading.rest(options, _OPTIONS)
    if limit is not None and limit < 1:  # -1: no limit, -2: fill the context
        kept["num_predict"], limit = limit, None
    extensions = reading.rest(body, known)
    if kept:
        extensions["options"] = kept
    stream = reading.boolean(body, "stream")
    return ChatRequest(
        model=reading.required_string(body, "model"),
        messages=messages,
        tools=tools,
        max_tokens=limit,
        temperature=reading.number(options, "temperature", "options"),
        top_p=reading.number(options, "top_p", "options"),
        top_k=reading.integer(options, "top_k", "options"),
        stop=_stop(options),
        seed=reading.integer(options, "seed", "options"),
        presence_penalty=reading.number(options, "presence_penalty", "options"),
        frequency_penalty=reading.number(options, "frequency_penalty", "options"),
        logprobs=reading.boolean(body, "logprobs"),
        top_logprobs=reading.integer(body, "top_logprobs"),
        output_format=_format(body),
        reasoning=_reasoning(body),
        stream=True if stream is None else stream,
        stream_usage=True,
        extensions=_bag(extensions),
    )


def _bag(extensions: dict[str, Any]) -> Extensions:
    return {PROTOCOL: extensions} if extensions else NO_EXTENSIONS


def _stop(options: Mapping[str, Any]) -> tuple[str, ...]:
    value = options.get("stop")
    if isinstance(value, str):
        return (value,)
    found = reading.items(options, "stop", "options")
    for index, one in enumerate(found):
        if not isinstance(one, str):
            reading.wrong(one, "a string", f"options.stop[{index}]")
    return tuple(found)


def _format(body: Mapping[str, Any]) -> OutputFormat | None:
    value = body.get("format")
    if value is None or value == "":
        return None
    if value == "json":
        return OutputFormat("json")
    if isinstance(value, Mapping):
        return OutputFormat("json_schema", schema=value)
    raise InvalidRequest('expected "json" or a JSON Schema', where="format")


def _reasoning(body: Mapping[str, Any]) -> Reasoning | None:
    value = body.get("think")
    if value is None:
        return None
    if isinstance(value, bool):
        return Reasoning(enabled=value, show=value)
    if isinstance(value, str) and value in EFFORTS:
        return Reasoning(enabled=True, effort=EFFORTS[value], show=True)
    raise InvalidRequest("expected true, false, low, medium or high", where="think")


def _tool(tool: Mapping[str, Any], where: str) -> Tool:
    at = f"{where}.function"
    function = reading.required_mapping(tool, "function", where)
    extensions = reading.rest(tool, frozenset({"type", "function"}))
    more = reading.rest(function, frozenset({"name", "description", "parameters"}))
    if more:
        extensions["function"] = more
    return Tool(
        name=reading.required_string(function, "name", at),
        description=reading.string(function, "description", at),
        parameters=reading.mapping(function, "parameters", at),
        extensions=_bag(extensions),
        place=where,
    )


def _images(message: Mapping[str, Any], where: str) -> list[Media]:
    found = []
    for index, image in enumerate(reading.items(message, "images", where)):
        if not isinstance(image, str):
            reading.wrong(image, "a base64 string", f"{reading.member('images', where)}[{index}]")
        at = f"{reading.member('images', where)}[{index}]"
        found.append(Media("image", Base64Source(image), sniffed_type(image), place=at))
    return found


_MAGIC = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "Qk0": "image/bmp",
}


def sniffed_type(data: str) -> str:
    """The MIME type that the first bytes tell; Ollama sends none. PNG where they tell nothing."""
    return next((kind for start, kind in _MAGIC.items() if data.startswith(start)), "image/png")


class _Messages:
    """Reads messages one by one, and gives calls and their results common ids where they have none."""

    def __init__(self) -> None:
        self.done: list[Message] = []
        self._count = 0
        self._open: list[ToolCall] = []

    def add(self, message: Mapping[str, Any], where: str) -> None:
        self._add(message, where)
        for part in placed(self.done[-1], where).parts:
            placed(part, where)

    def _add(self, message: Mapping[str, Any], where: str) -> None:
        name = reading.required_string(message, "role", where)
        role = ROLES.get(name)
        if role is None:
            raise InvalidRequest(
                f"unknown role `{name}`; there are: {', '.join(ROLES)}", where=f"{where}.role"
            )
        content = reading.string(message, "content", where) or ""
        extensions = _bag(reading.rest(message, _MESSAGE))
        if role == "tool":
            result = self._result(message, content, where)
            self.done.append(Message("tool", (result,), extensions=extensions))
            return
        parts: list[Part] = []
        if thinking := reading.string(message, "thinking", where):
            parts.append(Thinking(thinking, place=f"{where}.thinking"))
        parts += _images(message, where)  # models see them before the words
        if content:
            parts.append(Text(content, place=f"{where}.content"))
        for index, call in enumerate(reading.items(message, "tool_calls", where)):
            at = f"{where}.tool_calls[{index}]"
            parts.append(placed(self._call(reading.as_mapping(call, at), at), at))
        self.done.append(Message(role, tuple(parts), extensions=extensions))

    def _call(self, call: Mapping[str, Any], where: str) -> ToolCall:
        function = reading.required_mapping(call, "function", where)
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, Mapping):
            reading.wrong(arguments, "an object", f"{where}.function.arguments")
        self._count += 1
        made = ToolCall(
            id=reading.string(call, "id", where) or f"call_{self._count}",
            name=reading.required_string(function, "name", f"{where}.function"),
            arguments=dump(dict(arguments or {})),
        )
        self._open.append(made)
        return made

    def _result(self, message: Mapping[str, Any], content: str, where: str) -> ToolResult:
        """Matched by id, else by the tool's name, else by order."""
        call_id = reading.string(message, "tool_call_id", where)
        name = reading.string(message, "tool_name", where) or reading.string(message, "name", where)
        call = next((one for one in self._open if one.id == call_id), None)
        if call is None and not call_id:
            named = (one for one in self._open if name is None or one.name == name)
            call = next(named, None)
        if call is not None:
            self._open.remove(call)
        found_id = call_id or (call.id if call is not None else f"call_{name or 'unknown'}")
        parts: tuple[Part, ...] = (Text(content, place=f"{where}.content"), *_images(message, where))
        return ToolResult(found_id, parts, name=name or (call.name if call is not None else None))
