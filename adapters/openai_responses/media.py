"""Images, files and sound, in the parts of messages and of tool results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.canonical import (
    Base64Source,
    Extensions,
    FileIdSource,
    Media,
    MediaKind,
    MediaSource,
    PlainTextSource,
    UrlSource,
)
from adapters.losses import Losses
from adapters.openai_common import CHAT, SHARED_IN_PARTS, shared
from adapters.openai_responses import notes
from adapters.reading import as_mapping, required_string, string, wrong

FILE_ORIGINS = ("openai", notes.PROTOCOL)
"""Both of OpenAI's protocols share their uploaded files."""

_KINDS: dict[str, MediaKind] = {"image": "image", "audio": "audio", "video": "video"}
_EXTENSIONS = {"application/pdf": "pdf", "text/plain": "txt", "text/csv": "csv", "text/html": "html"}
_IMAGE = frozenset({"type", "image_url", "file_id", "detail"})
_FILE = frozenset({"type", "file_data", "file_url", "file_id", "filename"})
_AUDIO = frozenset({"type", "input_audio"})


def _bag(part: Mapping[str, Any], known: frozenset[str]) -> Extensions:
    return notes.extensions({"_:raw": part, **notes.rest(part, known)})


def data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 text of a data URL, None for any other URL."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    parts = head.split(";")
    if not comma or parts[-1].strip().lower() != "base64":
        return None
    return parts[0], data


def _source(
    part: Mapping[str, Any], url_key: str, data_key: str | None, where: str
) -> tuple[MediaSource | None, str]:
    file_id = string(part, "file_id", where)
    url = string(part, url_key, where)
    data = string(part, data_key, where) if data_key else None
    for text in (data, url):
        if text:
            found = data_url(text)
            if found:
                return Base64Source(found[1]), found[0]
            return (Base64Source(text) if text is data else UrlSource(text)), ""
    return (FileIdSource(file_id, FILE_ORIGINS[0]), "") if file_id else (None, "")


def decode_image(part: Mapping[str, Any], where: str) -> Media:
    url = part.get("image_url")
    if isinstance(url, dict):
        part = {**part, "image_url": url.get("url")}
    source, media_type = _source(part, "image_url", None, where)
    if source is None:
        wrong(url, "a URL, or a file_id beside it", f"{where}.image_url")
    detail = string(part, "detail", where)
    return Media("image", source, media_type, detail=detail, extensions=_bag(part, _IMAGE))


def decode_file(part: Mapping[str, Any], where: str) -> Media:
    source, media_type = _source(part, "file_url", "file_data", where)
    if source is None:
        wrong(part.get("file_data"), "base64 data, or a file_url or file_id beside it", f"{where}.file_data")
    name = string(part, "filename", where)
    kind = _KINDS.get(media_type.partition("/")[0], "document")
    if kind == "document" and not media_type and (name or "").lower().endswith(".pdf"):
        media_type = "application/pdf"
    return Media(kind, source, media_type, name, extensions=_bag(part, _FILE))


def decode_audio(part: Mapping[str, Any], where: str) -> Media:
    audio = as_mapping(part.get("input_audio"), f"{where}.input_audio")
    data = required_string(audio, "data", f"{where}.input_audio")
    form = string(audio, "format", f"{where}.input_audio") or "wav"
    media_type = {"mp3": "audio/mpeg"}.get(form, f"audio/{form}")
    return Media("audio", Base64Source(data), media_type, extensions=_bag(part, _AUDIO))


def encode(media: Media, losses: Losses, where: str) -> dict[str, Any] | None:
    """The content part, or None after a loss was reported."""
    raw = notes.own(media.extensions).get("_:raw")
    if raw is not None:
        return dict(raw)
    found, extensions = shared(media.extensions, CHAT, SHARED_IN_PARTS)
    losses.foreign(extensions, notes.PROTOCOL, where)
    if isinstance(media.source, FileIdSource) and media.source.origin not in FILE_ORIGINS:
        losses.add("media.file_id", where, f"the file is at {media.source.origin}, not at OpenAI")
        return None
    match media.kind:
        case "image":
            if media.name is not None:
                losses.add("media.name", where, "images have no name here")
            return {**_image(media), **found}
        case "document":
            return {**_document(media), **found}
    losses.add(f"media.{media.kind}", where, f"the Responses API takes no {media.kind}")
    return None


def _image(media: Media) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "input_image", "detail": media.detail or "auto"}
    match media.source:
        case Base64Source(data):
            part["image_url"] = f"data:{media.media_type or 'image/png'};base64,{data}"
        case UrlSource(url):
            part["image_url"] = url
        case FileIdSource(file_id):
            part["file_id"] = file_id
        case PlainTextSource(text):
            return {"type": "input_text", "text": text}
    return part


def _document(media: Media) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "input_file"}
    match media.source:
        case Base64Source(data):
            media_type = media.media_type or "application/pdf"
            part["filename"] = media.name or f"document.{_EXTENSIONS.get(media_type, 'bin')}"
            part["file_data"] = f"data:{media_type};base64,{data}"
        case UrlSource(url):
            part["file_url"] = url
        case FileIdSource(file_id):
            part["file_id"] = file_id
        case PlainTextSource(text):
            return {"type": "input_text", "text": f"{media.name}\n\n{text}" if media.name else text}
    return part
