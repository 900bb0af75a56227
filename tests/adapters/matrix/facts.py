"""What a request or an answer means, as comparable facts; whatever may differ without loss is levelled.

Facts are pairs of a kind and a value. Two lists of facts are compared by kind: what is missing,
what was added, what came in another order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.canonical import (
    Base64Source,
    ChatRequest,
    ChatResponse,
    Media,
    Opaque,
    Part,
    PlainTextSource,
    ProviderTool,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from adapters.jsontext import dump, load_object
from adapters.reasoning import effort_of

Fact = tuple[str, Any]

_ROLES = {"developer": "system", "tool": "user"}
_SETTINGS = (
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "logprobs",
    "top_logprobs",
    "verbosity",
    "user",
    "metadata",
    "service_tier",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind` is what an allowance names: a fact's kind, with `+` before it where it was added."""

    kind: str
    detail: str


def of_request(request: ChatRequest) -> list[Fact]:
    facts: list[Fact] = []
    instructions = "\n".join(part.text for part in request.instructions if isinstance(part, Text))
    links = _Links()
    turns: list[tuple[str, list[Fact]]] = [("system", [("text", instructions)])] if instructions else []
    for message in request.messages:
        role = _ROLES.get(message.role, message.role)
        found = [fact for part in message.parts for fact in _of_part(part, links)]
        if not found:
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(found)
        else:
            turns.append((role, found))
    for role, found in turns:
        facts += [(f"{role}.{kind}", value) for kind, value in _in_order_of_calls(_joined(found))]
    facts += [_of_tool(tool) for tool in request.tools]
    if (choice := request.tool_choice) is not None and choice.mode != "auto":
        named = choice.mode == "required" and len(choice.names) == 1
        facts.append(("tool_choice", ("named" if named else choice.mode, choice.names)))
    facts += [(name, value) for name in _SETTINGS if (value := getattr(request, name)) not in (None, {})]
    if request.parallel_tool_calls is False:  # the other is what all do unasked
        facts.append(("parallel_tool_calls", False))
    if request.stop:
        facts.append(("stop", request.stop))
    if (wanted := request.output_format) is not None and wanted.kind != "text":
        facts.append(("output_format", (wanted.kind, _schema(wanted.schema))))
    if (effort := effort_of(request.reasoning)) is not None:
        facts.append(("reasoning", effort))
    return facts


def of_response(response: ChatResponse, *, signatures: bool = True) -> list[Fact]:
    """`signatures`: also those; in an answer for a client of another protocol they are wrapped."""
    facts: list[Fact] = []
    for choice in response.choices:
        links = _Links(by_id=True)
        found = [fact for part in choice.parts for fact in _of_part(part, links)]
        if not signatures:
            found = [fact for fact in found if fact[0] not in ("signature", "redacted", "call.signature")]
        facts += [(f"answer.{kind}", value) for kind, value in _joined(found, "")]
        facts.append(("finish", choice.finish.unified))
        if choice.finish.stop_sequence:
            facts.append(("finish.stop_sequence", choice.finish.stop_sequence))
    if response.model:
        facts.append(("model", response.model))
    return facts + of_usage(response.usage)


def of_usage(usage: Usage | None) -> list[Fact]:
    if usage is None:
        return []
    counts = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
    return [(f"usage.{name}", value) for name in counts if (value := getattr(usage, name))]


class _Links:
    """Calls by number, so that ids may change as long as results find their calls.

    In an answer ids are what the client sends back: there they are compared.
    """

    def __init__(self, by_id: bool = False) -> None:
        self._by_id = by_id
        self._numbers: dict[str, int] = {}

    def number(self, call_id: str) -> Any:
        return call_id if self._by_id else self._numbers.setdefault(call_id, len(self._numbers))


def _of_part(part: Part, links: _Links) -> Iterable[Fact]:
    match part:
        case Text(text):
            yield "text", text
        case Refusal(text):
            yield "refusal", text
        case Thinking(text, signature, redacted):
            if text:
                yield "thinking", text
            if signature is not None:
                yield "redacted" if redacted else "signature", (signature.origin, signature.value)
        case ToolCall(call_id, name, arguments):
            value = load_object(arguments) if part.kind == "function" else {"input": arguments}
            yield "call", (links.number(call_id), name, dump(value) if value is not None else arguments)
            if part.signature is not None:
                yield "call.signature", (part.signature.origin, part.signature.value)
        case ToolResult(call_id, content):
            number = links.number(call_id)
            inner = [fact for one in content for fact in _of_part(one, links)]
            for kind, value in _joined(inner):
                yield f"result.{kind}", (number, value)
            if not inner:
                yield "result.text", (number, "")
            if part.is_error:
                yield "result.error", number
        case Media(kind, PlainTextSource(text), name=name):
            yield kind, text
        case Media(kind, source):
            known = part.media_type if isinstance(source, Base64Source) else ""
            yield kind, (str(source), known)
            if part.name:
                yield f"{kind}.name", part.name
        case Opaque(protocol, kind):
            yield "opaque", (protocol, kind)


def _in_order_of_calls(facts: list[Fact]) -> list[Fact]:
    """Results are found by their calls, so that their own order says nothing."""
    results = sorted((fact for fact in facts if fact[0].startswith("result.")), key=_number)
    ordered = iter(results)
    return [next(ordered) if fact[0].startswith("result.") else fact for fact in facts]


def _number(result: Fact) -> int:
    kind, value = result
    number = value if kind == "result.error" else value[0]
    assert isinstance(number, int)
    return number


def _joined(facts: Iterable[Fact], between: str = "\n") -> list[Fact]:
    """Neighbouring texts as one; in an answer just as they are, see `adapters.joining`."""
    out: list[Fact] = []
    for kind, value in facts:
        if out and kind == out[-1][0] and kind in ("text", "thinking", "refusal"):
            out[-1] = kind, f"{out[-1][1]}{between}{value}"
        else:
            out.append((kind, value))
    return [(kind, _levelled(value)) for kind, value in out]


def _levelled(value: Any) -> Any:
    return re.sub(r"\n+", "\n", value) if isinstance(value, str) else value


def _of_tool(tool: Tool | ProviderTool) -> Fact:
    if isinstance(tool, ProviderTool):
        return "provider_tool", (tool.protocol, tool.kind)
    return "tool", (tool.name, tool.kind, tool.description, _schema(tool.parameters))


def _schema(schema: Mapping[str, Any] | None) -> str:
    """A schema without what strict modes add and words about the whole; none is that of no arguments."""

    schema = {key: value for key, value in (schema or {}).items() if key not in ("description", "title")}

    def level(value: Any) -> Any:
        if isinstance(value, Mapping):
            kept = {k: level(v) for k, v in value.items() if (k, v) != ("additionalProperties", False)}
            return dict(sorted(kept.items()))
        return [level(one) for one in value] if isinstance(value, list) else value

    return dump(level(schema or {"type": "object", "properties": {}}))


def differences(want: list[Fact], got: list[Fact]) -> list[Difference]:
    wanted, found = Counter(map(_key, want)), Counter(map(_key, got))
    out = [Difference(kind, value) for kind, value in (wanted - found).elements()]
    out += [Difference(f"+{kind}", value) for kind, value in (found - wanted).elements()]
    if not out:
        one, other = ([_key(fact) for fact in facts if "." in fact[0]] for facts in (want, got))
        out += [Difference("order", f"{one} {other}")] if one != other else []
    return out


def _key(fact: Fact) -> tuple[str, str]:
    return fact[0], repr(fact[1])
