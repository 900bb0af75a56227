"""Every field of the official SDKs' answer and stream types, each tried out in an answer.

The walk is that of `fields`, from a protocol's answer and from each event of its streams downwards. An
answer without the field and one with it (or with another value, where it is required) are told to clients of
all five protocols, which shows what becomes of the field.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import anthropic.types as stable
import anthropic.types.beta as beta
import ollama
from google.genai import types as genai
from openai.types import responses
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from adapters.canonical import Failure
from adapters.codec import Arrival
from adapters.errors import InvalidRequest, InvalidResponse
from adapters.registry import codec
from tests.adapters.matrix import fields
from tests.adapters.matrix.cases import PROTOCOLS, frames, reply
from tests.adapters.matrix.convert import plain
from tests.adapters.matrix.fields import Json, Probe, Root, Table

Decision = Literal["mapped", "carried", "failure", "silent", "dropped", "tag"]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where an answer's type stands: whole (`before` is None), or an event among others of a stream."""

    root: Root
    before: tuple[Json, ...] | None = None
    after: tuple[Any, ...] = ()


def _root(protocol: str, kind: Any, bare: Json) -> Root:
    return Root(protocol, kind, bare, Arrival())


# ---------------------------------------------------------------- whole answers

_CHAT: Json = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": "hi"},
        }
    ],
}
_TEXT_ITEM: Json = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hi", "annotations": []}],
}
_RESPONSE: Json = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [_TEXT_ITEM],
}
_MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 7},
}
_GEMINI: Json = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP", "index": 0}
    ],
}
_OLLAMA: Json = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": True}

WHOLE: tuple[Frame, ...] = (
    Frame(_root("openai", ChatCompletion, _CHAT)),
    Frame(_root("openai-responses", responses.Response, _RESPONSE)),
    Frame(_root("anthropic", stable.Message, _MESSAGE)),
    Frame(_root("anthropic", beta.BetaMessage, _MESSAGE)),
    Frame(_root("gemini", genai.GenerateContentResponse, _GEMINI)),
    Frame(
        _root(
            "ollama",
            ollama._types.ChatResponse,
            {**_OLLAMA, "message": {"role": "assistant", "content": "hi"}},
        )
    ),
    Frame(_root("ollama", ollama._types.GenerateResponse, {**_OLLAMA, "response": "hi"})),
)

# ---------------------------------------------------------------- streams

_CHUNK: Json = {
    "id": "x",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}],
}
_LAST_CHUNK: Json = {**_CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
_CREATED: Json = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {**_RESPONSE, "status": "in_progress", "output": []},
}
_COMPLETED: Json = {
    "type": "response.completed",
    "sequence_number": 9,
    "response": {**_RESPONSE, "output": []},
}
_MESSAGE_START: Json = {
    "type": "message_start",
    "message": {**_MESSAGE, "content": [], "stop_reason": None},
}
_MESSAGE_DELTA: Json = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 7},
}
_BLOCK_START: Json = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "text", "text": ""},
}
_BLOCK_DELTA: Json = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": "hi"},
}
_BLOCK_STOP: Json = {"type": "content_block_stop", "index": 0}
_MESSAGE_STOP: Json = {"type": "message_stop"}

_ANTHROPIC_PLACES: Mapping[str, tuple[tuple[Json, ...], tuple[Json, ...], Json]] = {
    "message_start": ((), (_MESSAGE_DELTA, _MESSAGE_STOP), _MESSAGE_START),
    "content_block_start": ((_MESSAGE_START,), (_BLOCK_STOP, _MESSAGE_DELTA, _MESSAGE_STOP), _BLOCK_START),
    "content_block_delta": (
        (_MESSAGE_START, _BLOCK_START),
        (_BLOCK_STOP, _MESSAGE_DELTA, _MESSAGE_STOP),
        _BLOCK_DELTA,
    ),
    "content_block_stop": (
        (_MESSAGE_START, _BLOCK_START, _BLOCK_DELTA),
        (_MESSAGE_DELTA, _MESSAGE_STOP),
        _BLOCK_STOP,
    ),
    "message_delta": ((_MESSAGE_START,), (_MESSAGE_STOP,), _MESSAGE_DELTA),
    "message_stop": ((_MESSAGE_START, _MESSAGE_DELTA), (), _MESSAGE_STOP),
}


def _anthropic_event(kind: Any) -> Frame:
    before, after, bare = _ANTHROPIC_PLACES[_tag(kind)]
    return Frame(_root("anthropic", kind, bare), before, after)


def _tag(kind: Any) -> str:
    return str(get_args(fields.branches(fields.members(kind)["type"])[0])[0])


def _responses_event(kind: Any) -> Frame:
    bare = fields.instance(kind)
    final = bare["type"] in ("response.completed", "response.incomplete", "response.failed")
    if "response" in bare:
        status = bare["type"].removeprefix("response.")
        bare = {**bare, "response": {**_RESPONSE, "status": status, "output": []}}
    first = bare["type"] == "response.created"
    return Frame(
        _root("openai-responses", kind, bare), () if first else (_CREATED,), () if final else (_COMPLETED,)
    )


def _events(union: Any) -> list[Any]:
    return [one for one in fields.branches(union) if fields.is_record(one)]


STREAMED: tuple[Frame, ...] = (
    Frame(_root("openai", ChatCompletionChunk, _CHUNK), (), (_LAST_CHUNK, "[DONE]")),
    *map(_responses_event, _events(responses.ResponseStreamEvent)),
    *map(_anthropic_event, _events(stable.RawMessageStreamEvent)),
    *map(_anthropic_event, _events(beta.BetaRawMessageStreamEvent)),
)
"""Gemini and Ollama stream their whole answer's type."""


_ECHO = frozenset(
    f"Response.{name}"
    for name in ("instructions", "tools", "tool_choice", "reasoning", "text", "prompt", "conversation")
) | {
    "ResponseToolSearchOutputItem.tools",
    "AdditionalTools.tools",
}
"""What the request said: its types are in the table of requests."""

# ---------------------------------------------------------------- the experiment

_BLOCKS: Mapping[str, Json] = {
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "signature_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "input_json_delta": {"type": "tool_use", "id": "x", "name": "x", "input": {}},
    "compaction_delta": {"type": "compaction", "content": None},
}
"""The block that a delta continues, by the delta's type; else it is text."""


def _stream(frame: Frame, body: Json) -> tuple[Any, ...]:
    before = list(frame.before or ())
    if body.get("type") == "content_block_delta" and (block := _BLOCKS.get(body["delta"].get("type"))):
        before[-1] = {**_BLOCK_START, "content_block": block}
    return (*before, body, *frame.after)


Told = tuple[Any, list[str]]


def _told(frame: Frame, body: Json, client: str) -> Told | None:
    """What the client gets and what is reported; None where it is told of a failure."""
    given, mine = frame.root.protocol, codec(client)
    if frame.before is None:
        try:
            said = codec(given).decode_response(plain(body))
        except (InvalidResponse, InvalidRequest):
            return None
        answer, losses = mine.encode_response(said, reply(client, "text"))
        return plain(answer), sorted(map(repr, losses))
    decoder = codec(given).stream_decoder()
    events = decoder.feed(frames(given, _stream(frame, body))) + decoder.close()
    if isinstance(events[-1], Failure):
        return None
    encoder = mine.stream_encoder(reply(client, "text", stream=True))
    return encoder.encode(events), sorted(map(repr, encoder.losses.taken()))


def fate(frame: Frame, probe: Probe, client: str) -> str:
    """mapped, reported, failure, whole (lost with what holds it) or nothing."""
    given, without = _told(frame, probe.given, client), _told(frame, probe.without, client)
    if given is None or without is None:
        return "nothing" if given == without else "failure"
    if given[0] != without[0]:
        return "mapped"
    if given[1] != without[1]:
        return "reported"
    bare = _told(frame, frame.root.bare, client)
    return "whole" if bare is not None and len(without[1]) > len(bare[1]) else "nothing"


def decision(frame: Frame, probe: Probe) -> Decision:
    if probe.given == probe.without:
        return "tag"
    fates = {client: fate(frame, probe, client) for client in PROTOCOLS}
    own = fates.pop(frame.root.protocol)
    if "failure" in (own, *fates.values()):
        return "failure"
    if own == "nothing" and "mapped" not in fates.values():
        return "dropped"
    if "nothing" in fates.values():
        return "silent"
    return "mapped" if "mapped" in fates.values() else "carried"


@cache
def tried() -> Table:
    """Protocol -> type -> field -> decision, found by experiment."""
    out: dict[str, dict[str, dict[str, str]]] = {}
    seen: dict[str, set[str]] = {}
    for frame in (*WHOLE, *STREAMED):
        kinds = out.setdefault(frame.root.protocol, {})
        for probe in fields.probes(frame.root, seen.setdefault(frame.root.protocol, set()), _ECHO):
            kinds.setdefault(probe.type, {})[probe.field] = decision(frame, probe)
    return out


# ---------------------------------------------------------------- the table

PATH = Path(__file__).parents[3] / "docs" / "conversion-answers.toml"
"""The decisions, as people read them: `[protocol.Type]`, and under each decision the fields."""


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
            kind: {field: decision for decision, listed in rows.items() for field in listed}
            for kind, rows in kinds.items()
        }
        for protocol, kinds in _document().items()
        if protocol != "reasons"
    }


def reasons() -> Mapping[str, str]:
    """A pattern of `protocol.Type.field` -> why not everybody is told."""
    found: Mapping[str, str] = _document()["reasons"]
    return found


def untold(found: Table) -> set[str]:
    """Those that need a reason, as `protocol.Type.field`."""
    return {
        f"{protocol}.{kind}.{field}"
        for protocol, kinds in found.items()
        for kind, rows in kinds.items()
        for field, decision in rows.items()
        if decision in ("silent", "dropped", "failure")
    }


def reason(name: str) -> str | None:
    return next((why for pattern, why in reasons().items() if fnmatchcase(name, pattern)), None)


def as_toml(found: Table, why: Mapping[str, str]) -> str:
    """The table's text; the decisions are the experiment's, the reasons a person's."""
    lines = [HEAD, "[reasons]", *(f'"{pattern}" = "{text}"' for pattern, text in why.items()), ""]
    for protocol, kinds in found.items():
        for kind, rows in kinds.items():
            lines.append(f"[{protocol}.{kind}]")
            for decision in get_args(Decision):
                if listed := [f'"{field}"' for field, one in rows.items() if one == decision]:
                    lines += fields.listed_as(decision, listed)
            lines.append("")
    return "\n".join(lines)


HEAD = """\
# What becomes of each field of the official SDKs' types of answers and streams when the client speaks another
# protocol.
#
# mapped   it arrives at clients of one other protocol at least; where it does not, that is reported
# carried  it goes back to clients of its own protocol, and is reported as a loss to all others
# silent   somewhere it neither arrives nor is reported
# dropped  nobody gets it, not even clients of its own protocol where the answer has to be written anew
# failure  the answer is told as an error because of it, or cannot be read without it
# tag      it has one value, which its place implies (`type`)
#
# Whatever is silent, dropped or failure has a reason under [reasons]. A test tries every field out.
# `python -m tests.adapters.matrix.document` writes the decisions anew.
"""
