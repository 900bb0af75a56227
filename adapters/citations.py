"""Links to sources at an answer's text, which OpenAI's two protocols spell differently.

Chat Completions has `{"type": "url_citation", "url_citation": {…}}` at the message, with places in its one
text; Responses has the same flat at each text part. Other kinds of annotations name files of the provider:
they stay in their own protocol's bag, and are reported.

Source: `openai.types.chat.chat_completion_message.Annotation`, `openai.types.responses.response_output_text`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.canonical import (
    ChatResponse,
    Choice,
    Extensions,
    Part,
    PartStart,
    PartUpdate,
    StreamEvent,
    Text,
)
from adapters.openai_common import CHAT, RESPONSES

_PLACES = ("start_index", "end_index")


def restated(extensions: Extensions, protocol: str, before: int = 0) -> Extensions:
    """The links of the other protocol's bag in `protocol`'s. `before`: how much text stood before."""
    other = RESPONSES if protocol == CHAT else CHAT
    bag = extensions.get(other)
    listed = bag.get("annotations") if bag else None
    if not bag or not isinstance(listed, list):
        return extensions
    links = [one for one in listed if _is_link(one, other)]
    if not links:
        return extensions
    rest = {key: value for key, value in bag.items() if key != "annotations"}
    if len(links) < len(listed):
        rest["annotations"] = [one for one in listed if not _is_link(one, other)]
    mine = dict(extensions.get(protocol) or {})
    have = mine.get("annotations")
    told = [_nested(one, before) if protocol == CHAT else _flat(one) for one in links]
    mine["annotations"] = [*(have if isinstance(have, list) else ()), *told]
    return {**extensions, other: rest, protocol: mine}


def _is_link(annotation: Any, protocol: str) -> bool:
    if not isinstance(annotation, Mapping) or annotation.get("type") != "url_citation":
        return False
    said = annotation.get("url_citation") if protocol == CHAT else annotation
    return isinstance(said, Mapping) and isinstance(said.get("url"), str)


def _said(link: Mapping[str, Any], before: int) -> dict[str, Any]:
    places = (link.get(key) for key in _PLACES)
    start, end = (before + one if isinstance(one, int) else before for one in places)
    title = link.get("title")
    return {"start_index": start, "end_index": end, "title": str(title or ""), "url": link["url"]}


def _nested(link: Mapping[str, Any], before: int) -> dict[str, Any]:
    return {"type": "url_citation", "url_citation": _said(link, before)}


def _flat(link: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "url_citation", **_said(link["url_citation"], 0)}


def in_event(event: StreamEvent, protocol: str, before: int = 0) -> StreamEvent:
    """The same for what a stream tells of a text, at its start or later."""
    match event:
        case PartUpdate(extensions=extensions) if extensions:
            return replace(event, extensions=restated(extensions, protocol, before))
        case PartStart(part=Text(extensions=extensions) as part) if extensions:
            return replace(event, part=replace(part, extensions=restated(extensions, protocol, before)))
        case _:
            return event


def in_answer(response: ChatResponse, protocol: str) -> ChatResponse:
    """The answer with the links of the other protocol as `protocol` has them."""
    choices = tuple(_in_choice(choice, protocol) for choice in response.choices)
    return response if choices == response.choices else replace(response, choices=choices)


def _in_choice(choice: Choice, protocol: str) -> Choice:
    if not any(isinstance(part, Text) and part.extensions for part in choice.parts):
        return choice
    return replace(choice, parts=tuple(_in_parts(choice.parts, protocol)))


def _in_parts(parts: Sequence[Part], protocol: str) -> list[Part]:
    out: list[Part] = []
    before = 0
    for part in parts:
        if isinstance(part, Text):
            if part.extensions:
                extensions = restated(part.extensions, protocol, before)
                out.append(replace(part, extensions=extensions))
            else:
                out.append(part)
            before += len(part.text)
        else:
            out.append(part)
    return out
