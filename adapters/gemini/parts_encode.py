"""Canonical parts to Gemini's, for requests.

https://ai.google.dev/api/caching#Part
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import (
    Base64Source,
    Extensions,
    FileIdSource,
    Media,
    Opaque,
    Part,
    PlainTextSource,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UrlSource,
)
from adapters.gemini import carry
from adapters.gemini.carry import PROTOCOL
from adapters.gemini.media import mime_of_bytes, mime_of_link
from adapters.jsontext import load_object
from adapters.losses import Losses

Wire = dict[str, Any]

UNREADABLE = "input"
"""Under this key the arguments of a call stand that are no JSON object: Gemini takes objects only."""


def own(extensions: Extensions) -> Wire:
    """What the bag has for this protocol, without notes on spelling."""
    bag = extensions.get(PROTOCOL)
    if not bag:
        return {}
    return {key: value for key, value in bag.items() if not key.startswith("_")}


def note(extensions: Extensions, name: str) -> Any:
    bag = extensions.get(PROTOCOL)
    return bag.get(name) if bag else None


def split(bag: Mapping[str, Any], prefix: str) -> tuple[Wire, Wire]:
    """The keys `prefix.x` as `x`, and all others."""
    start = prefix + "."
    inner = {key.removeprefix(start): value for key, value in bag.items() if key.startswith(start)}
    return inner, {key: value for key, value in bag.items() if not key.startswith(start)}


def arguments_of(text: str) -> tuple[Wire, bool]:
    """A call's arguments as an object, and whether they were one."""
    found = load_object(text)
    return ({UNREADABLE: text}, False) if found is None else (found, True)


class PartEncoder:
    """Encodes the parts of one conversation; knows the names of the calls that results answer."""

    def __init__(self, losses: Losses, *, media_in_results: bool) -> None:
        self.losses = losses
        self.media_in_results = media_in_results
        """Gemini 3 takes media within a function's response; before, it stands beside it.
        https://ai.google.dev/gemini-api/docs/function-calling#multimodal"""
        self._names: dict[str, str] = {}
        self._unnumbered: set[str] = set()

    def encode(self, part: Part, where: str) -> list[Wire]:
        where = part.place or where
        match part:
            case Text():
                self.losses.foreign(part.extensions, PROTOCOL, where)
                extras = own(part.extensions)
                return [{"text": part.text, **extras}] if part.text or extras else []
            case Refusal():
                self.losses.foreign(part.extensions, PROTOCOL, where)
                return [{"text": part.text}] if part.text else []
            case Media():
                self.losses.foreign(part.extensions, PROTOCOL, where)
                return [self.media(part, where)]
            case Thinking():
                return self._thinking(part, where)
            case ToolCall():
                return [self._call(part, where)]
            case ToolResult():
                return self._result(part, where)
            case Opaque():
                return self._opaque(part, where)

    def _thinking(self, part: Thinking, where: str) -> list[Wire]:
        signature = part.signature
        mine = signature.origin == PROTOCOL if signature else note(part.extensions, "_unsigned")
        if not mine:
            if part.text or signature:
                self.losses.thinking(part, where, "reasoning of another provider cannot be replayed")
            return []
        wire: Wire = {"text": part.text, "thought": True}
        if signature:
            wire["thoughtSignature"] = signature.value
        return [{**wire, **own(part.extensions)}]

    def _call(self, part: ToolCall, where: str) -> Wire:
        self.losses.foreign(part.extensions, PROTOCOL, where)
        self._names[part.id] = part.name
        arguments, readable = arguments_of(part.arguments)
        if not readable:
            self.losses.add("tool_call.arguments", where, "no JSON object: sent as text under `input`")
        inner, beside = split(own(part.extensions), "functionCall")
        call: Wire = {"name": part.name, "args": arguments, **inner}
        if note(part.extensions, "_no_id"):
            self._unnumbered.add(part.id)
        else:
            call["id"] = part.id
        wire: Wire = {"functionCall": call, **beside}
        if part.signature and (value := carry.to_upstream(part.signature)):
            wire["thoughtSignature"] = value
        elif part.signature:
            self.losses.add("thinking.signature", where, f"a signature of {part.signature.origin}")
        elif stand_in := note(part.extensions, "_thoughtSignature"):
            wire["thoughtSignature"] = stand_in
        return wire

    def _result(self, part: ToolResult, where: str) -> list[Wire]:
        self.losses.foreign(part.extensions, PROTOCOL, where)
        name = self._names.get(part.call_id) or part.name or part.call_id
        inner, beside_bag = split(own(part.extensions), "functionResponse")
        answer: Wire = {"name": name, "response": self._response(part), **inner}
        if part.call_id not in self._unnumbered and not note(part.extensions, "_no_id"):
            answer["id"] = part.call_id
        within, beside = self._media_of(part, where)
        if within:
            answer["parts"] = within
        return [{"functionResponse": answer, **beside_bag}, *beside]

    def _response(self, part: ToolResult) -> Wire:
        """The words as they are under `output`, or `error`: Google's convention for what is no object."""
        original = note(part.extensions, "_response")
        if isinstance(original, dict):
            return original
        words = "".join(inner.text for inner in part.content if isinstance(inner, Text | Refusal | Opaque))
        return {"error" if part.is_error else "output": words}

    def _media_of(self, part: ToolResult, where: str) -> tuple[list[Wire], list[Wire]]:
        within: list[Wire] = []
        beside: list[Wire] = []
        for at, inner in enumerate(part.content):
            place = inner.place or f"{where}.content[{at}]"
            if isinstance(inner, Text | Refusal):
                self.losses.foreign(inner.extensions, PROTOCOL, place)
            elif isinstance(inner, Media):
                self.losses.foreign(inner.extensions, PROTOCOL, place)
                wire = self.media(inner, place)
                inside = self.media_in_results and "inlineData" in wire
                (within if inside or note(part.extensions, "_response") else beside).append(wire)
            elif isinstance(inner, Opaque):
                self.losses.add(f"item.{inner.kind}", place, f"only {inner.protocol} has it")
        return within, beside

    def _opaque(self, part: Opaque, where: str) -> list[Wire]:
        if part.protocol == PROTOCOL:
            return [dict(part.value)]
        self.losses.add(f"item.{part.kind}", where, f"only {part.protocol} has it")
        return [{"text": part.text}] if part.text else []

    def media(self, part: Media, where: str) -> Wire:
        """`inlineData` or `fileData`. Another provider's upload becomes a word of it."""
        if part.detail not in (None, "auto"):
            self.losses.add("detail", where, "the detail of one image cannot be set")
        bag = own(part.extensions)
        match part.source:
            case Base64Source(data=data):
                mime = part.media_type or mime_of_bytes(part.kind, data, part.name)
                return self._inline(mime, data, part.name, bag)
            case PlainTextSource(text=text):
                return {"text": f"{part.name}\n\n{text}" if part.name else text}
            case UrlSource(url=link):
                return self._file(link, part, bag, where)
            case FileIdSource(file_id=link, origin="gemini"):
                return self._file(link, part, bag, where)
            case FileIdSource(origin=origin):
                self.losses.add("media.file_id", where, f"a file that was uploaded to {origin}")
                return {"text": f"({part.name or 'a file'}: uploaded elsewhere, not available here)"}

    def _inline(self, mime: str, data: str, name: str | None, bag: Wire) -> Wire:
        inner, beside = split(bag, "inlineData")
        blob: Wire = {"mimeType": mime, "data": data, **inner}
        if name is not None:
            blob["displayName"] = name
        return {"inlineData": blob, **beside}

    def _file(self, link: str, part: Media, bag: Wire, where: str) -> Wire:
        inner, beside = split(bag, "fileData")
        file: Wire = {"fileUri": link, **inner}
        mime = part.media_type
        if not mime and isinstance(part.source, UrlSource):
            mime = mime_of_link(part.kind, link, part.name) or ""
        if mime:
            file["mimeType"] = mime
        if part.name is not None and PROTOCOL in part.extensions:
            file["displayName"] = part.name
        elif part.name is not None:
            self.losses.add("media.name", where, "linked files have no name")
        return {"fileData": file, **beside}
