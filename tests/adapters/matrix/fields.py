"""Every field of the official SDKs' request types, each tried out in a request.

`probes` walks the types from a protocol's request downwards and gives for each field of each type a
request without it and one with it (or with another value, where the field is required). `decision` sends
both to all five protocols and says what became of the field.
"""

from __future__ import annotations

import collections.abc
import textwrap
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin

import ollama
from anthropic.types import message_create_params as stable_params
from anthropic.types.beta import message_create_params as beta_params
from google.genai import types as genai
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params
from pydantic import BaseModel
from typing_extensions import is_typeddict

from adapters.codec import Arrival, Encoded
from adapters.errors import Unsupported
from adapters.registry import codec
from tests.adapters.matrix.cases import MODELS, PROTOCOLS, TargetModel, arrival
from tests.adapters.matrix.convert import plain

Json = dict[str, Any]
Decision = Literal["mapped", "carried", "refused", "silent", "tag"]


class GeminiRequest(BaseModel):
    """The wire form; the SDK has only its own flat `GenerateContentConfig`, whose fields stand here."""

    contents: list[genai.Content]
    systemInstruction: genai.Content | None = None
    tools: list[genai.Tool] | None = None
    toolConfig: genai.ToolConfig | None = None
    generationConfig: genai.GenerationConfig | None = None
    safetySettings: list[genai.SafetySetting] | None = None
    cachedContent: str | None = None
    serviceTier: str | None = None
    labels: dict[str, str] | None = None
    store: bool | None = None


@dataclass(frozen=True, slots=True)
class Root:
    protocol: str
    type: Any
    bare: Json
    arrival: Arrival


_CALLED = [
    {"role": "user", "content": "hi"},
    {
        "role": "assistant",
        "tool_calls": [{"id": "x", "type": "function", "function": {"name": "x", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "x", "content": "x"},
]
_ANTHROPIC: Json = {"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}]}
_OLLAMA: Json = {"model": "m", "stream": False}

ROOTS: tuple[Root, ...] = (
    Root(
        "openai",
        chat_params.CompletionCreateParamsNonStreaming,
        {"model": "m", "messages": _CALLED[:1]},
        arrival("openai"),
    ),
    Root(
        "openai-responses",
        response_create_params.ResponseCreateParamsNonStreaming,
        {"model": "m", "input": [{"role": "user", "content": "hi"}]},
        arrival("openai-responses"),
    ),
    Root("anthropic", stable_params.MessageCreateParamsNonStreaming, _ANTHROPIC, arrival("anthropic")),
    Root("anthropic", beta_params.MessageCreateParamsNonStreaming, _ANTHROPIC, arrival("anthropic")),
    Root(
        "gemini",
        GeminiRequest,
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        arrival("gemini"),
    ),
    Root(
        "ollama",
        ollama._types.ChatRequest,
        {**_OLLAMA, "messages": [{"role": "user", "content": "hi"}]},
        arrival("ollama"),
    ),
    Root("ollama", ollama._types.GenerateRequest, {**_OLLAMA, "prompt": "hi"}, Arrival("generate")),
)


# ---------------------------------------------------------------- types


def name_of(kind: Any) -> str:
    """The type's name, the same for a beta type and its stable form."""
    name: str = getattr(kind, "__qualname__", kind.__name__).rpartition(".<locals>.")[2]
    name = name.replace("Beta", "").replace(".", "")
    for tail in ("NonStreaming", "Streaming", "TypedDict"):
        name = name.removesuffix(tail)
    return name.removeprefix("_")


def plain_type(kind: Any) -> Any:
    """Without Required, Annotated, aliases and the None of an optional one."""
    while True:
        if hasattr(kind, "__value__"):
            kind = kind.__value__
        elif get_origin(kind) in (
            Required,
            NotRequired,
            typing.Annotated,
            typing.Required,
            typing.NotRequired,
        ):
            kind = get_args(kind)[0]
        else:
            return kind


def is_record(kind: Any) -> bool:
    return is_typeddict(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel))


@cache
def members(kind: Any) -> dict[str, Any]:
    """Field name on the wire -> its type."""
    if is_typeddict(kind):
        return {
            name: plain_type(one) for name, one in typing.get_type_hints(kind, include_extras=True).items()
        }
    return {(field.alias or name): plain_type(field.annotation) for name, field in kind.model_fields.items()}


def required(kind: Any) -> frozenset[str]:
    needed = _NEEDED.get(name_of(kind), frozenset())
    if is_typeddict(kind):  # the SDKs' annotations are text, in which `Required` is not seen by Python
        hints = typing.get_type_hints(kind, include_extras=True)
        marked = {name for name, one in hints.items() if get_origin(one) in (Required, typing.Required)}
        return needed | (kind.__required_keys__ | marked if marked or kind.__total__ else frozenset())
    return (
        frozenset((field.alias or name) for name, field in kind.model_fields.items() if field.is_required())
        | needed
    )


_NEEDED: dict[str, frozenset[str]] = {
    "Schema": frozenset({"type"}),
    "Message": frozenset({"role", "content"}),
    "FunctionResponseBlob": frozenset({"data", "mimeType"}),
    "FunctionResponseFileData": frozenset({"fileUri"}),
    "FileFile": frozenset({"file_data"}),
    "ResponseInputImageParam": frozenset({"image_url"}),
    "ResponseInputImageContentParam": frozenset({"image_url"}),
    "ResponseInputFileParam": frozenset({"file_data"}),
    "ResponseInputFileContentParam": frozenset({"file_data"}),
    "FunctionCallOutput": frozenset({"call_id"}),
    "JSONSchema": frozenset({"schema"}),
    "FunctionDefinition": frozenset({"parameters"}),
    "Content": frozenset({"parts", "role"}),
    "FunctionCall": frozenset({"name"}),
    "FunctionResponse": frozenset({"name", "response"}),
    "FunctionDeclaration": frozenset({"name"}),
    "Blob": frozenset({"data", "mimeType"}),
    "FileData": frozenset({"fileUri"}),
    "ChatRequest": frozenset({"messages"}),
    "ToolCallFunction": frozenset({"name", "arguments"}),
    "Tool": frozenset({"function"}),
    "ToolFunction": frozenset({"name"}),
    "ChatCompletionMessage": frozenset({"content", "role"}),
    "ChoiceDelta": frozenset({"content"}),
    "ChoiceDeltaAudio": frozenset({"data"}),
    "ChoiceDeltaToolCall": frozenset({"id", "function"}),
    "ChoiceDeltaToolCallFunction": frozenset({"name", "arguments"}),
    "Delta": frozenset({"stop_reason"}),
    "ImageGenerationCall": frozenset({"id", "result", "status"}),
    "Candidate": frozenset({"content", "finishReason"}),
}
"""What the API needs where the SDK's type does not say so."""


def branches(kind: Any) -> list[Any]:
    """The alternatives of a union, None left out."""
    kind = plain_type(kind)
    if get_origin(kind) in (Union, types.UnionType):
        return [one for arg in get_args(kind) for one in branches(arg)]
    return [] if kind is type(None) else [kind]


def item_type(kind: Any) -> Any | None:
    """Of a list's items."""
    origin, args = get_origin(kind), get_args(kind)
    if (
        getattr(kind, "__name__", "") == "SequenceNotStr"
        or getattr(origin, "__name__", "") == "SequenceNotStr"
    ):
        return args[0] if args else str
    listed = isinstance(origin, type) and issubclass(origin, collections.abc.Iterable)
    mapped = isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)
    return plain_type(args[0]) if listed and not mapped and args else None


def map_type(kind: Any) -> Any | None:
    origin, args = get_origin(kind), get_args(kind)
    mapped = isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)
    return plain_type(args[1]) if mapped and len(args) == 2 else None


# ---------------------------------------------------------------- values

_A_TOOL = {"type": "function", "name": "x"}
_SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}

_BY_NAME: dict[str, tuple[Any, Any]] = {
    "url": ("https://example.com/a.png", "https://example.com/b.png"),
    "image_url": ("https://example.com/a.png", "https://example.com/b.png"),
    "file_url": ("https://example.com/a.pdf", "https://example.com/b.pdf"),
    "fileUri": ("https://example.com/a.png", "https://example.com/b.png"),
    "data": ("aGk=", "aG8="),
    "file_data": ("data:application/pdf;base64,aGk=", "data:application/pdf;base64,aG8="),
    "arguments": ('{"x":1}', '{"x":2}'),
    "mimeType": ("image/png", "image/jpeg"),
    "media_type": ("image/png", "image/jpeg"),
    "thoughtSignature": ("aGk=", "aG8="),
    "input_schema": ({"type": "object", "properties": {}}, {"type": "object", "properties": {"y": {}}}),
    "parameters": (_SCHEMA, {"type": "object", "properties": {"y": {"type": "string"}}}),
    "schema": (_SCHEMA, {"type": "object", "properties": {"y": {"type": "string"}}}),
    "n": (2, 3),
    "candidateCount": (2, 3),
    "detail": ("low", "high"),
    "service_tier": ("priority", "flex"),
    "serviceTier": ("priority", "flex"),
    "parallel_tool_calls": (False, True),
    "reasoning_effort": ("high", "low"),
    "budget_tokens": (1024, 1500),
    "max_tokens": (2000, 3000),
    "stream": (False, False),
    "images": (["iVBORw0KGgo="], ["iVBORw0KGgoA"]),
    "effort": ("high", "low"),
    "allowed_callers": (["programmatic"], ["direct"]),
    "modalities": (["text", "audio"], ["text"]),
    "summary": ("detailed", "concise"),
    "generate_summary": ("detailed", "concise"),
    "display": ("omitted", "summarized"),
    "includeThoughts": (False, True),
    "total_duration": (5, 6),
    "load_duration": (5, 6),
    "prompt_eval_duration": (5, 6),
    "eval_duration": (5, 6),
}


def value(kind: Any, name: str = "", other: bool = False) -> Any:
    """A value of that type; `other` gives a second one where there are two."""
    options = branches(kind)
    literal = next((one for one in options if get_origin(one) is Literal), None)
    named = _BY_NAME.get(name)
    if named is not None and _fits(named[0], options, literal):
        return named[other]
    if name == "role" and str in options:
        return "assistant" if other else "user"
    simple = (one for one in options if one in (str, int, float, bool))
    kind = next(simple, None) or next(filter(is_record, options), options[0] if options else None)
    if literal is not None:
        choices = get_args(literal)
        return choices[-1] if other else choices[0]
    if kind is str:
        return "y" if other else "x"
    if kind is bool:
        return not other
    if kind in (int, float):
        return 2 if other else 1
    if isinstance(kind, type) and issubclass(kind, str):  # an enum
        names = [one.value for one in kind if "UNSPECIFIED" not in one.value]  # type: ignore[attr-defined]
        return names[-1] if other else names[0]
    if is_record(kind):
        return instance(kind)
    if (inner := item_type(kind)) is not None:
        return [_A_TOOL] if name == "tools" and map_type(inner) else [value(inner, other=other)]
    if (inner := map_type(kind)) is not None:
        return {"k": value(inner, other=other)}
    return {"k": "y" if other else "x"}


def _fits(wanted: Any, options: list[Any], literal: Any) -> bool:
    """Whether the name's usual value is one of the type's."""
    if literal is not None and str not in options:
        return wanted in get_args(literal)
    return not isinstance(wanted, str) or str in options or bytes in options or any(map(_is_enum, options))


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, str) and kind is not str


@cache
def _minimal(kind: Any) -> tuple[tuple[str, Any], ...]:
    needed = required(kind)
    return tuple((name, value(one, name)) for name, one in members(kind).items() if name in needed)


def instance(kind: Any) -> Json:
    """The least that is valid."""
    return {name: plain(one) for name, one in _minimal(kind)}


# ---------------------------------------------------------------- probes


@dataclass(frozen=True, slots=True)
class Probe:
    root: Root
    type: str
    field: str
    without: Json
    given: Json


def probes(root: Root, seen: set[str], whole: frozenset[str] = frozenset()) -> Iterator[Probe]:
    """One for each field of each type that the root's type leads to; `seen` has `Type.field`.

    `whole` has those of which the inside is not looked at.
    """
    pending: list[tuple[Any, Callable[[Json], Json]]] = [(root.type, lambda one: {**root.bare, **one})]
    visited: set[Any] = set()
    while pending:
        kind, wrap = pending.pop(0)
        if kind in visited:
            continue
        visited.add(kind)
        base = {} if kind is root.type else instance(kind)
        for name, one in members(kind).items():
            key = f"{name_of(kind)}.{name}"
            if key not in seen:
                seen.add(key)
                before = {k: v for k, v in base.items() if k != name or name in required(kind)}
                changed = name in before or (kind is root.type and name in root.bare)
                after = {**before, name: plain(value(one, name, other=changed))}
                bodies = (_in_context(root, name, wrap(one)) for one in (before, after))
                yield Probe(root, name_of(kind), name, *bodies)
            for inner, embed in _inner(one) if key not in whole else ():
                pending.append((inner, _nested(kind, name, base, wrap, embed, root)))


_TOOLS: dict[str, Json] = {
    "openai": {"tools": [{"type": "function", "function": {"name": name}} for name in ("x", "y")]},
    "openai-responses": {
        "tools": [
            {"type": "function", "name": name, "parameters": _SCHEMA, "strict": False} for name in ("x", "y")
        ]
    },
    "anthropic": {"tools": [{"name": name, "input_schema": _SCHEMA} for name in ("x", "y")]},
    "gemini": {"tools": [{"functionDeclarations": [{"name": "x"}, {"name": "y"}]}]},
}
_SPEAK_OF_TOOLS = frozenset({"tool_choice", "parallel_tool_calls", "function_call", "toolConfig"})

_CALLS: dict[str, Json] = {
    "function_call_output": {"type": "function_call", "call_id": "x", "name": "x", "arguments": "{}"},
    "custom_tool_call_output": {"type": "custom_tool_call", "call_id": "x", "name": "x", "input": "x"},
    "shell_call_output": {"type": "shell_call", "call_id": "x", "action": {"commands": ["x"]}},
    "apply_patch_call_output": {
        "type": "apply_patch_call",
        "call_id": "x",
        "status": "completed",
        "operation": {"type": "delete_file", "path": "x"},
    },
    "local_shell_call_output": {
        "type": "local_shell_call",
        "id": "x",
        "call_id": "x",
        "status": "completed",
        "action": {"type": "exec", "command": ["x"], "env": {}},
    },
}
"""What has to stand before a result, by the result's type."""


def _in_context(root: Root, field: str, body: Json) -> Json:
    """With the tools that a choice speaks of."""
    speaks = {field, *body} & _SPEAK_OF_TOOLS
    if root.protocol in _TOOLS and speaks and "tools" not in body:
        return {**body, **_TOOLS[root.protocol]}
    return body


def _before(item: Any) -> list[Json]:
    """The call that a result answers."""
    if not isinstance(item, dict):
        return []
    if item.get("role") in ("tool", "function"):
        call = {"name": "x", "arguments": {} if "tool_call_id" not in item and "name" not in item else "{}"}
        if item["role"] == "function":
            return [{"role": "assistant", "function_call": call}]
        return [{"role": "assistant", "tool_calls": [{"id": "x", "type": "function", "function": call}]}]
    if any(
        isinstance(part, dict) and part.get("type") == "tool_result" for part in item.get("content") or ()
    ):
        call = {"type": "tool_use", "id": "x", "name": "x", "input": {}}
        return [{"role": "assistant", "content": [call]}]
    if any(isinstance(part, dict) and "functionResponse" in part for part in item.get("parts") or ()):
        return [{"role": "model", "parts": [{"functionCall": {"name": "x", "args": {}}}]}]
    return [_CALLS[item["type"]]] if item.get("type") in _CALLS else []


_OF_THE_MODEL = frozenset({"thinking", "redacted_thinking", "tool_use"})


def _conversation(root: Root, name: str, held: list[Json]) -> list[Json]:
    """The message behind another one, in the role that its parts want."""
    said = dict(held[0])
    if root.protocol == "gemini":
        said["role"] = "model" if any("functionCall" in part for part in said["parts"]) else "user"
    elif isinstance(said.get("content"), list) and root.protocol == "anthropic":
        by_model = any(part.get("type") in _OF_THE_MODEL for part in said["content"])
        said["role"] = "assistant" if by_model else said["role"]
    return [*root.bare[name], *_before(said), said]


def _nested(
    kind: Any, name: str, base: Json, wrap: Callable[[Json], Json], embed: Callable[[Json], Any], root: Root
) -> Callable[[Json], Json]:
    def inside(one: Json) -> Json:
        held = embed(one)
        if kind is root.type and name in ("messages", "input", "contents"):
            held = _conversation(root, name, held) if isinstance(held, list) else held
        return wrap({**base, name: held})

    return inside


def _inner(kind: Any) -> Iterator[tuple[Any, Callable[[Json], Any]]]:
    for one in branches(kind):
        if one is ollama.Image:
            pass  # a string on the wire
        elif is_record(one):
            yield one, lambda held: held
        elif (item := item_type(one)) is not None:
            for inner, embed in _inner(item):
                yield inner, lambda held, embed=embed: [embed(held)]
        elif (item := map_type(one)) is not None:
            for inner, embed in _inner(item):
                yield inner, lambda held, embed=embed: {"k": embed(held)}


# ---------------------------------------------------------------- the experiment


_MODELS = {**MODELS, "anthropic": "claude-opus-4-6", "openai": "some-model", "openai-responses": "some-model"}
"""OpenAI's are models of which nothing is known, so that nothing is left away for a model's sake."""


def _sent(probe: Probe, body: Json, target: str) -> Encoded | Unsupported:
    request = codec(probe.root.protocol).decode_request(body, probe.root.arrival)
    try:
        return codec(target).encode_request(request, TargetModel(_MODELS[target]))
    except Unsupported as refused:
        return refused


def fate(probe: Probe, target: str) -> str:
    """mapped, reported, both, refused, whole (lost with what holds it) or nothing."""
    with_it, without = _sent(probe, probe.given, target), _sent(probe, probe.without, target)
    if isinstance(with_it, Unsupported):
        return "refused"
    if isinstance(without, Unsupported):
        return "mapped"
    told = sorted(map(repr, with_it.losses)) != sorted(map(repr, without.losses))
    moved = plain(with_it.body) != plain(without.body)
    if told or moved:
        return "both" if told and moved else "reported" if told else "mapped"
    bare = _sent(probe, probe.root.bare, target)
    assert not isinstance(bare, Unsupported)
    return "whole" if len(without.losses) > len(bare.losses) else "nothing"


def decision(probe: Probe) -> tuple[Decision, dict[str, str]]:
    """What becomes of the field, and its fate towards each target."""
    if probe.given == probe.without:
        return "tag", {}  # it has one value, which its place implies
    fates = {target: fate(probe, target) for target in PROTOCOLS}
    others = {fates[target] for target in PROTOCOLS if target != probe.root.protocol}
    if "refused" in others:
        return "refused", fates
    if "nothing" in others:
        return "silent", fates
    return ("mapped" if others & {"mapped", "both"} else "carried"), fates


PATH = Path(__file__).parents[3] / "docs" / "conversion-fields.toml"
"""The decisions, as people read them: `[protocol.Type]`, and under each decision the fields."""

Table = Mapping[str, Mapping[str, Mapping[str, str]]]


@cache
def _document() -> Mapping[str, Any]:
    return tomllib.loads(PATH.read_text(encoding="utf-8"))


def forget() -> None:
    """The table was written anew."""
    _document.cache_clear()


def decided() -> Table:
    """Protocol -> type -> field -> decision, as written."""
    return {
        protocol: {
            kind: {field: decision for decision, fields in rows.items() for field in fields}
            for kind, rows in kinds.items()
        }
        for protocol, kinds in _document().items()
        if protocol != "silent"
    }


def notes() -> Mapping[str, str]:
    """A pattern of `protocol.Type.field` -> why nothing is reported though nothing arrives."""
    found: Mapping[str, str] = _document()["silent"]
    return found


@cache
def tried() -> Table:
    """Protocol -> type -> field -> decision, found by experiment."""
    out: dict[str, dict[str, dict[str, str]]] = {}
    seen: dict[str, set[str]] = {}
    for root in ROOTS:
        kinds = out.setdefault(root.protocol, {})
        for probe in probes(root, seen.setdefault(root.protocol, set())):
            kinds.setdefault(probe.type, {})[probe.field] = decision(probe)[0]
    return out


def as_toml(found: Table, reasons: Mapping[str, str]) -> str:
    """The table's text; the decisions are the experiment's, the reasons a person's."""
    lines = [HEAD]
    lines += ["[silent]", *(f'"{pattern}" = "{reason}"' for pattern, reason in reasons.items()), ""]
    for protocol, kinds in found.items():
        for kind, fields in kinds.items():
            lines.append(f"[{protocol}.{kind}]")
            for decision in get_args(Decision):
                if listed := [f'"{field}"' for field, one in fields.items() if one == decision]:
                    lines += listed_as(decision, listed)
            lines.append("")
    return "\n".join(lines)


def listed_as(decision: str, fields: list[str]) -> list[str]:
    text = f"{decision} = [{', '.join(fields)}]"
    return textwrap.wrap(text, 110, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


HEAD = """\
# What becomes of each field of the official SDKs' request types when the target speaks another protocol.
#
# mapped   it arrives at one other protocol at least; where it does not, that is reported
# carried  it goes back to its own protocol, and is reported as a loss to all others
# refused  another protocol cannot answer such a request at all: the client gets an error that says so
# silent   somewhere it neither arrives nor is reported: each has a reason under [silent]
# tag      it has one value, which its place implies (`type`)
#
# A test tries every field out. `python -m tests.adapters.matrix.document` writes the decisions anew.
"""
