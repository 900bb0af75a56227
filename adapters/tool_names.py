"""Tools in the form that every protocol has: plain functions with short names, and back again.

OpenAI knows free-text (`custom`) tools and tools in namespaces, Gemini names with dots, MCP names of
any length. An encoder towards a protocol without them sends `plain_request(request)`; the encoder of
the answer gives the client the calls back as it declared the tools: `restore_response` for a whole
answer, `StreamRestorer` for a stream. Both sides build the same `ToolNames` from the client's request,
so nothing has to be remembered in between.

A free-text tool becomes a function with one string, `input`; a name in a namespace
`{namespace}__{name}`. A name that is too long, has other characters than `[a-zA-Z0-9_-]`, or is taken,
ends in a hash of the whole name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import replace

from adapters.canonical import (
    ChatRequest,
    ChatResponse,
    Message,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    ProviderTool,
    StreamEvent,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from adapters.jsontext import dump, load
from adapters.losses import Losses

MAX_NAME = 64
"""https://developers.openai.com/api/docs/guides/function-calling; Anthropic and Gemini take no less."""

_VALID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_INVALID_CHARACTER = re.compile(r"[^a-zA-Z0-9_-]")
_HASH = 8

Key = tuple[str | None, str]
"""Namespace and name, as the client declared them."""


def flat_name(name: str, namespace: str | None = None) -> str:
    """The name as a plain function's; the same for the same input in every turn."""
    joiner = "" if namespace is None or namespace.endswith("__") else "__"
    full = f"{namespace or ''}{joiner}{name}"
    return full if _VALID.fullmatch(full) else _hashed(full)


def _hashed(full: str) -> str:
    digest = hashlib.sha256(full.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{_INVALID_CHARACTER.sub('_', full)[: MAX_NAME - _HASH - 1]}_{digest}"


class ToolNames:
    """The declared tools of a request, by their flat names and by their own."""

    __slots__ = ("_by_flat", "_flat", "is_trivial")

    def __init__(self, request: ChatRequest) -> None:
        tools = [tool for tool in request.tools if isinstance(tool, Tool)]
        self._flat: dict[Key, str] = {}
        self._by_flat: dict[str, Tool] = {}
        self.is_trivial = all(
            tool.kind == "function" and tool.namespace is None and _VALID.fullmatch(tool.name)
            for tool in tools
        )
        """Every tool is a plain function already."""
        for tool in sorted(tools, key=lambda one: flat_name(one.name, one.namespace) != one.name):
            flat = flat_name(tool.name, tool.namespace)
            key = (tool.namespace, tool.name)
            if key in self._flat:
                continue
            if flat in self._by_flat:
                flat = _hashed(f"{tool.namespace or ''}\x00{tool.name}")
            self._flat[key] = flat
            self._by_flat[flat] = tool

    def flat(self, name: str, namespace: str | None = None) -> str:
        return self._flat.get((namespace, name)) or flat_name(name, namespace)

    def flat_choice(self, name: str) -> str:
        """Of a tool choice, which does not say the namespace."""
        for (namespace, declared), flat in self._flat.items():
            if declared == name and (namespace is None or (None, name) not in self._flat):
                return flat
        return flat_name(name)

    def declared(self, flat: str) -> Tool | None:
        """The tool that a plain function's name stands for."""
        return self._by_flat.get(flat)


# ---------------------------------------------------------------- towards an upstream


def plain_request(
    request: ChatRequest, *, custom: bool = False, namespaces: bool = False
) -> tuple[ChatRequest, Losses]:
    """The request with plain functions only; `custom` and `namespaces` say what the target has too.

    A grammar is told in the tool's description and reported as the loss `tool.format`. Messages
    without parts that are notes of their own protocol (declarations of tools in mid-conversation, which
    stand in `tools` already) go.
    """
    losses = Losses()
    names = ToolNames(request)
    if not namespaces and any(map(_is_note, request.messages)):
        request = replace(request, messages=tuple(m for m in request.messages if not _is_note(m)))
    if names.is_trivial and not _has_special_calls(request.messages):
        return request, losses
    plain = _Plain(names, custom, namespaces, losses)
    return (
        replace(
            request,
            tools=tuple(plain.tool(tool, f"tools[{at}]") for at, tool in enumerate(request.tools)),
            tool_choice=plain.choice(request.tool_choice),
            messages=tuple(plain.message(message) for message in request.messages),
        ),
        losses,
    )


def _is_note(message: Message) -> bool:
    return (
        message.role == "developer"
        and not message.parts
        and bool(message.extensions)
        and all(key.startswith("_") for bag in message.extensions.values() for key in bag)
    )


def _has_special_calls(messages: Iterable[Message]) -> bool:
    return any(
        isinstance(part, ToolCall | ToolResult)
        and (
            part.kind == "custom"
            or (
                isinstance(part, ToolCall) and (part.namespace is not None or not _VALID.fullmatch(part.name))
            )
        )
        for message in messages
        for part in message.parts
    )


class _Plain:
    """What becomes of each piece of a request."""

    __slots__ = ("called", "custom", "losses", "names", "namespaces")

    def __init__(self, names: ToolNames, custom: bool, namespaces: bool, losses: Losses) -> None:
        self.names, self.custom, self.namespaces, self.losses = names, custom, namespaces, losses
        self.called: dict[str, str] = {}

    def _name(self, name: str, namespace: str | None) -> tuple[str, str | None]:
        if self.namespaces and namespace is not None:
            return name, namespace
        return self.names.flat(name, namespace), None

    def tool(self, tool: Tool | ProviderTool, where: str) -> Tool | ProviderTool:
        if isinstance(tool, ProviderTool):
            return tool
        name, namespace = self._name(tool.name, tool.namespace)
        if tool.kind == "function" or self.custom:
            if (name, namespace) == (tool.name, tool.namespace):
                return tool
            return replace(tool, name=name, namespace=namespace)
        if grammar_of(tool):
            self.losses.add("tool.format", tool.place or where, "the grammar is told in the description")
        return replace(
            tool,
            name=name,
            namespace=namespace,
            kind="function",
            description=_described(tool),
            parameters=_INPUT_SCHEMA,
            format=None,
            strict=None,
        )

    def choice(self, choice: ToolChoice | None) -> ToolChoice | None:
        if choice is None or not choice.names or self.namespaces:
            return choice
        return replace(choice, names=tuple(self.names.flat_choice(name) for name in choice.names))

    def message(self, message: Message) -> Message:
        parts = tuple(self.part(part) for part in message.parts)
        changed = any(new is not old for new, old in zip(parts, message.parts, strict=True))
        return replace(message, parts=parts) if changed else message

    def part(self, part: Part) -> Part:
        match part:
            case ToolCall():
                name, namespace = self._name(part.name, part.namespace)
                self.called[part.id] = name
                if part.kind == "function" or self.custom:
                    if (name, namespace) == (part.name, part.namespace):
                        return part
                    return replace(part, name=name, namespace=namespace)
                arguments = dump({"input": part.arguments})
                return replace(part, name=name, namespace=namespace, kind="function", arguments=arguments)
            case ToolResult():
                kind = part.kind if self.custom else "function"
                called = part.name and self.called.get(part.call_id, part.name)
                if (kind, called) == (part.kind, part.name):
                    return part
                return replace(part, kind=kind, name=called)
        return part


_INPUT_SCHEMA = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The whole input of the tool, as plain text."}},
    "required": ["input"],
    "additionalProperties": False,
}


def grammar_of(tool: Tool) -> tuple[str, str] | None:
    """Syntax and definition of a free-text tool's grammar, in the form of Responses or of Chat."""
    form = tool.format
    if form is None or form.get("type") != "grammar":
        return None
    inner = form.get("grammar")
    form = inner if isinstance(inner, dict) else form
    return str(form.get("syntax", "lark")), str(form.get("definition", ""))


def _described(tool: Tool) -> str | None:
    grammar = grammar_of(tool)
    if grammar is None:
        return tool.description
    told = f"`input` has to match this grammar ({grammar[0]}):\n{grammar[1]}"
    return f"{tool.description}\n\n{told}" if tool.description else told


# ---------------------------------------------------------------- back to the client


def restore_response(response: ChatResponse, request: ChatRequest) -> ChatResponse:
    """The answer with every call in the shape in which the client declared the tool."""
    names = ToolNames(request)
    if names.is_trivial:
        return response
    choices = tuple(
        replace(choice, parts=tuple(_restored(part, names) for part in choice.parts))
        for choice in response.choices
    )
    return replace(response, choices=choices)


def _restored(part: Part, names: ToolNames) -> Part:
    if not isinstance(part, ToolCall):
        return part
    call = restored_call(part, names)
    if call.kind == part.kind:
        return call
    reader = InputReader()
    return replace(call, arguments=reader.feed(part.arguments) + reader.close())


def restored_call(call: ToolCall, names: ToolNames) -> ToolCall:
    """Name, namespace and kind as declared; the arguments stay as they are."""
    if call.namespace is not None:
        return call
    tool = names.declared(call.name)
    if tool is None:
        return call
    kind = call.kind if call.kind == "custom" else tool.kind
    if (tool.name, tool.namespace, kind) == (call.name, None, call.kind):
        return call
    return replace(call, name=tool.name, namespace=tool.namespace, kind=kind)


class StreamRestorer:
    """The same for a stream: free text is unwrapped while it arrives."""

    __slots__ = ("_names", "_readers")

    def __init__(self, request: ChatRequest) -> None:
        names = ToolNames(request)
        self._names = None if names.is_trivial else names
        self._readers: dict[tuple[int, int], InputReader] = {}

    def feed(self, events: Iterable[StreamEvent]) -> Iterable[StreamEvent]:
        if self._names is None:
            return events
        out: list[StreamEvent] = []
        for event in events:
            match event:
                case PartStart(part=ToolCall() as part):
                    self._start(event, part, self._names, out)
                case PartDelta():
                    self._delta(event, out)
                case PartEnd():
                    reader = self._readers.pop((event.choice, event.index), None)
                    rest = reader.close() if reader else ""
                    if rest:
                        out.append(PartDelta(event.index, rest, event.choice))
                    out.append(event)
                case _:
                    out.append(event)
        return out

    def _start(self, event: PartStart, part: ToolCall, names: ToolNames, out: list[StreamEvent]) -> None:
        call = restored_call(part, names)
        if call.kind != part.kind:
            reader = self._readers[event.choice, event.index] = InputReader()
            call = replace(call, arguments=reader.feed(part.arguments))
        out.append(event if call is part else replace(event, part=call))

    def _delta(self, event: PartDelta, out: list[StreamEvent]) -> None:
        reader = self._readers.get((event.choice, event.index))
        if reader is None:
            out.append(event)
            return
        text = reader.feed(event.text)
        if text:
            out.append(replace(event, text=text))


_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_LONGEST_HEAD = 256
_STOP = re.compile(r'["\\]')


class InputReader:
    """Reads the string `input` out of `{"input": "…"}` while its JSON text arrives in pieces.

    Whatever else arrives is given back at the end: verbatim, or the `input` that it has somewhere.
    """

    __slots__ = ("_held", "_pieces", "_state")

    def __init__(self) -> None:
        self._state = "head"
        self._pieces: list[str] = []
        self._held = ""

    def feed(self, text: str) -> str:
        if self._state == "string":
            return self._string(text)
        if self._state == "done" or not text:
            return ""
        self._pieces.append(text)
        if self._state == "odd":
            return ""
        head = "".join(self._pieces)
        found = _HEAD.match(head)
        if found:
            self._pieces, self._state = [], "string"
            return self._string(head[found.end() :])
        if len(head) > _LONGEST_HEAD:
            self._state = "odd"
        return ""

    def close(self) -> str:
        """The rest, at the end of the arguments."""
        if self._state == "string":
            return self._held
        if self._state == "done" or not self._pieces:
            return ""
        text = "".join(self._pieces)
        try:
            value = load(text)
        except ValueError:
            return text
        if isinstance(value, dict):
            value = value.get("input") if value else ""
        return value if isinstance(value, str) else text

    def _string(self, text: str) -> str:
        text = self._held + text
        self._held = ""
        out: list[str] = []
        at = 0
        while found := _STOP.search(text, at):
            stop = found.start()
            out.append(text[at:stop])
            if text[stop] == '"':
                self._state = "done"
                return "".join(out)
            length = _escape_length(text, stop)
            if length is None:
                self._held = text[stop:]
                return "".join(out)
            out.append(_unescaped(text[stop : stop + length]))
            at = stop + length
        out.append(text[at:])
        return "".join(out)


def _escape_length(text: str, at: int) -> int | None:
    """How long the escape at `at` is, None if more text is needed to tell."""
    rest = len(text) - at
    if rest < 2 or (text[at + 1] == "u" and rest < 6):
        return None
    if text[at + 1] != "u":
        return 2
    if text[at + 2 : at + 4].lower() not in ("d8", "d9", "da", "db"):
        return 6
    if not "\\u".startswith(text[at + 6 : at + 8]):
        return 6
    return 12 if rest >= 12 else None


def _unescaped(escape: str) -> str:
    try:
        value = json.loads(f'"{escape}"')
    except ValueError:
        return escape
    return value if isinstance(value, str) else escape
