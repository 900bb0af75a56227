"""A request for a model that cannot call tools: tools, calls and results as text.

Everything that is written depends on the request alone, so the beginning of a conversation stays the
same text from turn to turn, and prompt caches work. What concerns one answer (the tool choice) stands at
the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from adapters.canonical import (
    ChatRequest,
    Media,
    Message,
    Part,
    PlainTextSource,
    ProviderTool,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from adapters.compat.calls import DeclaredTools, Rejected
from adapters.compat.prompt import (
    MALFORMED,
    RESULT_MARK,
    call_text,
    describe_choice,
    describe_tools,
    result_text,
)
from adapters.compat.scanner import CallScanner
from adapters.losses import Losses
from adapters.tool_names import plain_request

_MOST_STOPS = 4
"""https://developers.openai.com/api/reference/resources/chat: up to four stop sequences."""


def compat_request(request: ChatRequest) -> tuple[ChatRequest, Losses]:
    """The request without tools, and what that cost."""
    tools = DeclaredTools(replace(request, tool_choice=None))
    plain, losses = plain_request(request)
    functions = [tool for tool in plain.tools if isinstance(tool, Tool)]
    _report(plain, functions, losses)
    messages = _History(tools, losses).rewrite(plain.messages)
    rewritten = replace(plain, messages=messages, tools=(), tool_choice=None, parallel_tool_calls=None)
    if not functions:
        return rewritten, losses
    rewritten = _instructed(rewritten, describe_tools(functions))
    if wish := describe_choice(plain.tool_choice, plain.parallel_tool_calls):
        rewritten = replace(rewritten, messages=_join((*rewritten.messages, Message("user", (Text(wish),)))))
    if len(rewritten.stop) < _MOST_STOPS:
        rewritten = replace(rewritten, stop=(*rewritten.stop, RESULT_MARK))
    return rewritten, losses


def _report(request: ChatRequest, functions: list[Tool], losses: Losses) -> None:
    for at, tool in enumerate(request.tools):
        if isinstance(tool, ProviderTool):
            losses.add(
                f"tool.{tool.kind}",
                tool.place or f"tools[{at}]",
                "run by the provider: the model cannot call it",
            )
            continue
        where = tool.place or f"tools[{at}]"
        losses.foreign(tool.extensions, "", where)
        if tool.strict:
            losses.add("tool.strict", f"{where}.strict", "the model is only asked to keep to the schema")
    choice = request.tool_choice
    if functions and choice is not None and _is_demand(choice):
        losses.add("tool_choice", "tool_choice", "the model is only asked to keep to it")
    if functions and request.parallel_tool_calls is False:
        losses.add("parallel_tool_calls", "parallel_tool_calls", "the model is only asked for one call")


def _is_demand(choice: ToolChoice) -> bool:
    return choice.mode in ("required", "named") or bool(choice.names)


def _instructed(request: ChatRequest, text: str) -> ChatRequest:
    """`text` at the end of the system text, wherever the client has that."""
    first = request.messages[0] if request.messages else None
    if request.instructions or first is None or first.role not in ("system", "developer"):
        return replace(request, instructions=_texts((*request.instructions, Text(text))))
    told = replace(first, parts=_texts((*first.parts, Text(text))))
    return replace(request, messages=(told, *request.messages[1:]))


class _History:
    """Past turns as the model should have written them, and as it should have got them."""

    def __init__(self, tools: DeclaredTools, losses: Losses) -> None:
        self._tools = tools
        self._losses = losses
        self._names: dict[str, str] = {}

    def rewrite(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        out: list[Message] = []
        for at, message in enumerate(messages):
            where = message.place or f"messages[{at}]"
            if message.role == "assistant":
                out += self._assistant(message, where)
            elif any(isinstance(part, ToolResult) for part in message.parts):
                parts = [new for part in message.parts for new in self._result(part, where)]
                out.append(self._changed(message, _texts(parts), where))
            else:
                out.append(message)
        return _join(out)

    def _assistant(self, message: Message, where: str) -> Iterable[Message]:
        parts = tuple(self._call(part, where) for part in message.parts)
        changed = parts != message.parts
        yield self._changed(message, _texts(parts, "\n"), where) if changed else message
        if reasons := self._malformed(message):
            told = (result_text(MALFORMED.format(reason=reason), is_error=True) for reason in reasons)
            yield Message("user", (Text("\n".join(told)),))

    def _changed(self, message: Message, parts: tuple[Part, ...], where: str) -> Message:
        """What its protocol noted of the message's form does not hold any more."""
        self._losses.foreign(message.extensions, "", where)
        role: Role = "assistant" if message.role == "assistant" else "user"
        return Message(role, parts)

    def _call(self, part: Part, where: str) -> Part:
        if not isinstance(part, ToolCall):
            return part
        self._names[part.id] = part.name
        self._losses.foreign(part.extensions, "", where)
        if part.signature is not None:
            self._losses.add("thinking.signature", where, "the call is told as text")
        return Text(call_text(part))

    def _malformed(self, message: Message) -> list[str]:
        """Why blocks in this turn's own text were no calls."""
        reasons: list[str] = []
        for part in message.parts:
            if isinstance(part, Text) and self._tools:
                scanner = CallScanner(self._tools)
                items = [*scanner.feed(part.text), *scanner.close()]
                reasons += [item.reason for item in items if isinstance(item, Rejected)]
        return reasons

    def _result(self, part: Part, where: str) -> list[Part]:
        if not isinstance(part, ToolResult):
            return [part]
        self._losses.foreign(part.extensions, "", where)
        words: list[str] = []
        others: list[Part] = []
        for inner in part.content:
            match inner:
                case Text(text):
                    words.append(text)
                case Media(source=PlainTextSource(text)):
                    words.append(text)
                case _:
                    others.append(inner)
        if others:
            words.append("(attached below)")
        name = self._names.get(part.call_id, part.name)
        told = result_text("\n".join(words), call_id=part.call_id, name=name, is_error=part.is_error)
        return [Text(told), *others]


def _texts(parts: Iterable[Part], joint: str = "\n\n") -> tuple[Part, ...]:
    """Neighbouring plain texts as one: many servers of small models take text alone."""
    out: list[Part] = []
    for part in parts:
        last = out[-1] if out else None
        if isinstance(part, Text) and isinstance(last, Text) and not part.extensions and not last.extensions:
            between = "" if last.text.endswith("\n") and joint == "\n" else joint
            out[-1] = Text(last.text + between + part.text)
        else:
            out.append(part)
    return tuple(out)


def _join(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Turns of the user that follow one another as one: templates of small models want turns to alternate."""
    out: list[Message] = []
    for message in messages:
        last = out[-1] if out else None
        if last is not None and _is_plain_turn(last) and _is_plain_turn(message):
            out[-1] = Message("user", _texts((*last.parts, *message.parts)))
        else:
            out.append(message)
    return tuple(out)


def _is_plain_turn(message: Message) -> bool:
    """It can be joined with its neighbour; what its protocol noted of its form (`_…`) may go then."""
    noted = all(key.startswith("_") for bag in message.extensions.values() for key in bag)
    return message.role == "user" and message.name is None and noted
