"""Gemini's parts to canonical ones: the same for requests and answers.

https://ai.google.dev/api/caching#Part
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.canonical import (
    NO_EXTENSIONS,
    Base64Source,
    Extensions,
    FileIdSource,
    Media,
    Opaque,
    Part,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UrlSource,
    placed,
)
from adapters.errors import InvalidRequest
from adapters.gemini import carry
from adapters.gemini.calls import AnswerIds, HistoryIds
from adapters.gemini.carry import PROTOCOL
from adapters.gemini.media import kind_of_mime
from adapters.gemini.reading import Fields, fields, items, take_flag, take_text
from adapters.jsontext import dump

Ids = HistoryIds | AnswerIds

_URL_SAFE = str.maketrans("-_", "+/")

_FILES = "generativelanguage.googleapis.com/"
"""Where the Files API keeps uploads: only Gemini can read them."""


def extensions_of(bag: Fields) -> Extensions:
    return {PROTOCOL: bag} if bag else NO_EXTENSIONS


def decode_part(raw: Any, where: str, ids: Ids) -> tuple[Part, ...]:
    """One part. A call may bring the foreign thinking that its signature carries along."""
    members = fields(raw, where)
    if "functionCall" in members:
        parts = _function_call(members, where, ids)
    elif "text" in members:
        parts = (_text(members, where, ids),)
    elif "functionResponse" in members:
        parts = (_function_response(members, where, ids),)
    elif "inlineData" in members:
        parts = (_inline_data(members, where),)
    elif "fileData" in members:
        parts = (_file_data(members, where),)
    else:
        parts = (_other(raw, members, where, ids),)
    for part in parts:
        placed(part, where)
    return parts


def _text(members: Fields, where: str, ids: Ids) -> Part:
    words = take_text(members, "text", where) or ""
    thought = take_flag(members, "thought", where)
    if not thought:
        return Text(words, extensions_of(members))
    value = take_text(members, "thoughtSignature", where)
    if value is None:
        # Whose thought it is nobody says: it came from here, so it may go back.
        return Thinking(words, extensions={PROTOCOL: {**members, "_unsigned": True}})
    if isinstance(ids, AnswerIds):
        return Thinking(words, Signature(value, PROTOCOL), extensions=extensions_of(members))
    thinking = carry.from_thought(value, words)
    return Thinking(
        thinking.text,
        thinking.signature,
        thinking.redacted,
        thinking.id,
        extensions_of(members),
    )


def _function_call(members: Fields, where: str, ids: Ids) -> tuple[Part, ...]:
    place = f"{where}.functionCall"
    call = fields(members.pop("functionCall"), place)
    name = take_text(call, "name", place)
    if name is None:
        raise InvalidRequest("is required", where=f"{place}.name")
    arguments = call.pop("args", None)
    if arguments is None:
        arguments = {}
    elif not isinstance(arguments, dict):
        raise InvalidRequest("must be an object", where=f"{place}.args")
    given = take_text(call, "id", place) or None
    written = dump(arguments)
    call_id = ids.call(given, name) if isinstance(ids, HistoryIds) else ids.call(given, name, written)
    bag: Fields = {**members, **{f"functionCall.{key}": value for key, value in call.items()}}
    if given is None:
        bag["_no_id"] = True
    signature, before = _call_signature(bag, where, ids)
    return (
        *before,
        ToolCall(call_id, name, written, signature=signature, extensions=extensions_of(bag)),
    )


def _call_signature(bag: Fields, where: str, ids: Ids) -> tuple[Signature | None, tuple[Thinking, ...]]:
    """A call's own signature, or the thinking of another maker that the client's call brings back.

    In an upstream's answer it is the upstream's own, whatever it looks like: a hub wants its wrapper back.
    """
    value = take_text(bag, "thoughtSignature", where)
    if not value:
        return None, ()
    if carry.is_stand_in(value):
        bag["_thoughtSignature"] = value
        return None, ()
    if isinstance(ids, AnswerIds):
        return Signature(value, PROTOCOL), ()
    found = carry.from_call(value)
    if isinstance(found, Signature):
        return found, ()
    return None, tuple(replace(one, extensions={PROTOCOL: {"_carried": True}}) for one in found)


def _function_response(members: Fields, where: str, ids: Ids) -> ToolResult:
    place = f"{where}.functionResponse"
    answer = fields(members.pop("functionResponse"), place)
    name = take_text(answer, "name", place)
    if name is None:
        raise InvalidRequest("is required", where=f"{place}.name")
    response = answer.pop("response", None)
    if response is None:
        response = {}
    elif not isinstance(response, dict):
        raise InvalidRequest("must be an object", where=f"{place}.response")
    given = take_text(answer, "id", place) or None
    call_id = ids.response(given, name) if isinstance(ids, HistoryIds) else (given or name)
    media = tuple(
        part
        for index, raw in enumerate(items(answer.pop("parts", []), f"{place}.parts"))
        for part in decode_part(raw, f"{place}.parts[{index}]", ids)
    )
    words, is_error = told(response)
    bag: Fields = {**members, **{f"functionResponse.{key}": value for key, value in answer.items()}}
    bag["_response"] = response
    if given is None:
        bag["_no_id"] = True
    content = ((Text(words),) if words else ()) + media
    return ToolResult(call_id, content, name, is_error, extensions={PROTOCOL: bag})


_WRAPPERS = ("output", "result", "error")
"""Keys by which Google's documentation and SDKs wrap an answer that is no object."""


def told(response: Fields) -> tuple[str, bool]:
    """What a function's response says in words, and whether it says an error.

    "Use `output` key to specify function output and `error` key to specify error details"; all else is
    told as JSON. https://ai.google.dev/api/caching#FunctionResponse
    """
    is_error = response.get("error") is not None
    if not response:
        return "", False
    if len(response) == 1:
        key, value = next(iter(response.items()))
        if key in _WRAPPERS:
            return (value if isinstance(value, str) else dump(value)), is_error
    return dump(response), is_error


def _inline_data(members: Fields, where: str) -> Media:
    place = f"{where}.inlineData"
    blob = fields(members.pop("inlineData"), place)
    data = take_text(blob, "data", place)
    if data is None:
        raise InvalidRequest("is required", where=f"{place}.data")
    mime = take_text(blob, "mimeType", place) or ""
    name = take_text(blob, "displayName", place)
    bag: Fields = {**members, **{f"inlineData.{key}": value for key, value in blob.items()}}
    return Media(
        kind_of_mime(mime, name or ""),
        Base64Source(_standard(data)),
        mime,
        name,
        extensions=extensions_of(bag),
    )


def _standard(data: str) -> str:
    """Base64 in the standard alphabet, padded: SDKs write bytes in the URL-safe one."""
    if "-" in data or "_" in data:
        data = data.translate(_URL_SAFE)
    return data + "=" * (-len(data) % 4)


def _file_data(members: Fields, where: str) -> Media:
    place = f"{where}.fileData"
    file = fields(members.pop("fileData"), place)
    uri = take_text(file, "fileUri", place)
    if uri is None:
        raise InvalidRequest("is required", where=f"{place}.fileUri")
    mime = take_text(file, "mimeType", place) or ""
    name = take_text(file, "displayName", place)
    bag: Fields = {**members, **{f"fileData.{key}": value for key, value in file.items()}}
    if uri.startswith("data:"):
        return _data_url(uri, mime, name, bag)
    own = _FILES in uri or "://" not in uri
    source = FileIdSource(uri, PROTOCOL) if own else UrlSource(uri)
    return Media(kind_of_mime(mime, name or uri), source, mime, name, extensions=extensions_of(bag))


def _data_url(uri: str, mime: str, name: str | None, bag: Fields) -> Media:
    head, _, data = uri.partition(",")
    mime = mime or head[len("data:") :].partition(";")[0]
    return Media(
        kind_of_mime(mime, name or ""),
        Base64Source(_standard(data)),
        mime,
        name,
        extensions=extensions_of(bag),
    )


_SERVER_SIDE = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")


def _other(raw: Fields, members: Fields, where: str, ids: Ids) -> Part:
    kind = next((key for key in _SERVER_SIDE if key in members), None)
    if kind is not None:
        return Opaque(PROTOCOL, kind, dict(raw), _in_words(kind, fields(members[kind], f"{where}.{kind}")))
    if members.get("thought") is True:
        return _text({**members, "text": ""}, where, ids)
    unknown = next((key for key in members if key not in ("thoughtSignature", "partMetadata")), None)
    if unknown is not None:
        return Opaque(PROTOCOL, unknown, dict(raw))
    return Text("", extensions_of(members))


def _in_words(kind: str, value: Fields) -> str:
    match kind, value.get("code"), value.get("output"):
        case "executableCode", str() as code, _:
            language = value.get("language")
            return f"```{language.lower() if isinstance(language, str) else ''}\n{code}\n```"
        case "codeExecutionResult", _, str() as output:
            return f"```\n{output}\n```"
        case _:
            return ""
