"""Content parts of messages: text, refusals, images, files, sound. Both directions.

https://platform.openai.com/docs/api-reference/chat/create (messages → content)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from adapters import reading
from adapters.canonical import (
    NO_EXTENSIONS,
    Base64Source,
    Extensions,
    FileIdSource,
    Media,
    MediaKind,
    MediaSource,
    Opaque,
    Part,
    PlainTextSource,
    Refusal,
    Text,
    UrlSource,
    placed,
)
from adapters.reading import member

PROTOCOL = "openai"

AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
"""OpenAI's `format` of `input_audio` -> MIME type."""

AUDIO_FORMATS = {media_type: name for name, media_type in AUDIO_TYPES.items()} | {
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}

_SUFFIXES: dict[str, tuple[MediaKind, str]] = {
    "pdf": ("document", "application/pdf"),
    "txt": ("document", "text/plain"),
    "md": ("document", "text/markdown"),
    "csv": ("document", "text/csv"),
    "html": ("document", "text/html"),
    "json": ("document", "application/json"),
    "jpg": ("image", "image/jpeg"),
    "jpeg": ("image", "image/jpeg"),
    "png": ("image", "image/png"),
    "gif": ("image", "image/gif"),
    "webp": ("image", "image/webp"),
    "mp3": ("audio", "audio/mpeg"),
    "wav": ("audio", "audio/wav"),
    "mp4": ("video", "video/mp4"),
    "mov": ("video", "video/quicktime"),
    "webm": ("video", "video/webm"),
}

_KNOWN = {
    "text": frozenset({"type", "text", "cache_control"}),
    "refusal": frozenset({"type", "refusal"}),
    "image_url": frozenset({"type", "image_url", "cache_control"}),
    "input_audio": frozenset({"type", "input_audio"}),
    "file": frozenset({"type", "file", "cache_control"}),
    "video_url": frozenset({"type", "video_url"}),
}


# ---------------------------------------------------------------- decoding


def bag(own: dict[str, Any], cache_control: Any = None) -> Extensions:
    """The extensions of a part. `cache_control` is Anthropic's word, which some chat providers take."""
    if cache_control is not None:
        own["_cache_control"] = True
        return {PROTOCOL: own, "anthropic": {"cache_control": cache_control}}
    return {PROTOCOL: own} if own else NO_EXTENSIONS


def decode_part(value: Any, where: str) -> Part:
    """One element of a `content` list. Unknown types are kept verbatim as Opaque."""
    return placed(_decoded(value, where), where)


def _decoded(value: Any, where: str) -> Part:
    if isinstance(value, str):  # tolerated: some clients put plain strings into the list
        return Text(value, bag({"_string": True}))
    part = reading.as_mapping(value, where)
    kind = reading.required_string(part, "type", where)
    match kind:
        case "text":
            text = reading.required_string(part, "text", where)
            return Text(text, _extensions(part, kind))
        case "refusal":
            return Refusal(reading.required_string(part, "refusal", where), _extensions(part, kind))
        case "image_url":
            return _image(part, where)
        case "input_audio":
            return _audio(part, where)
        case "file":
            return _file(part, where)
        case "video_url":
            url = reading.required_string(
                reading.required_mapping(part, kind, where), "url", member(kind, where)
            )
            return _linked("video", url, None, _extensions(part, kind))
        case _:
            return Opaque(PROTOCOL, kind, part)


def _extensions(part: Mapping[str, Any], kind: str, more: dict[str, Any] | None = None) -> Extensions:
    if more is None and part.keys() <= {"type", kind}:
        return NO_EXTENSIONS
    own = reading.rest(part, _KNOWN[kind])
    return bag(own | more if more else own, part.get("cache_control"))


def _image(part: Mapping[str, Any], where: str) -> Media:
    given = part.get("image_url")
    if isinstance(given, str):  # tolerated by several servers
        return _linked("image", given, None, _extensions(part, "image_url", {"_bare": True}))
    image = reading.as_mapping(given, member("image_url", where))
    url = reading.required_string(image, "url", member("image_url", where))
    detail = reading.string(image, "detail", member("image_url", where))
    more = reading.rest(image, frozenset({"url", "detail"}), "image_url.")
    return _linked("image", url, detail, _extensions(part, "image_url", more or None))


def _audio(part: Mapping[str, Any], where: str) -> Media:
    at = member("input_audio", where)
    audio = reading.required_mapping(part, "input_audio", where)
    data = reading.required_string(audio, "data", at)
    name = reading.required_string(audio, "format", at)
    more = reading.rest(audio, frozenset({"data", "format"}), "input_audio.")
    media_type = AUDIO_TYPES.get(name, f"audio/{name}")
    return Media("audio", Base64Source(data), media_type, extensions=_extensions(part, "input_audio", more))


def _file(part: Mapping[str, Any], where: str) -> Media:
    at = member("file", where)
    file = reading.required_mapping(part, "file", where)
    name = reading.string(file, "filename", at)
    data, file_id = reading.string(file, "file_data", at), reading.string(file, "file_id", at)
    more = reading.rest(file, frozenset({"filename", "file_data", "file_id"}), "file.")
    source: MediaSource
    if data is None:
        if file_id is None:
            reading.wrong(None, "file_data or file_id", at)
        source = FileIdSource(file_id, PROTOCOL)
    elif ":" not in data[:12]:  # bare base64, without the data URL around it
        more["_bare"] = True
        source = Base64Source(data)
    else:
        more["_file"] = True
        source = UrlSource(data)
    if data is not None and file_id is not None:
        more["file.file_id"] = file_id
    extensions = _extensions(part, "file", more)
    if isinstance(source, UrlSource):
        return _linked("document", source.url, None, extensions, name)
    kind, media_type = of_name(name)
    return Media(kind, source, media_type, name, extensions=extensions)


def of_name(name: str | None) -> tuple[MediaKind, str]:
    """Kind and MIME type by the suffix of a file name or URL; a document of unknown type otherwise."""
    suffix = (name or "").partition("?")[0].rpartition(".")[2].lower()
    return _SUFFIXES.get(suffix, ("document", ""))


def kind_of(media_type: str) -> MediaKind:
    head = media_type.partition("/")[0]
    return head if head in ("image", "audio", "video") else "document"  # type: ignore[return-value]


def _linked(
    kind: MediaKind, url: str, detail: str | None, extensions: Extensions, name: str | None = None
) -> Media:
    """Media by URL; a data URL becomes bytes. A file's kind follows its MIME type or name."""
    if url[:5].lower() != "data:":
        by_name, media_type = of_name(name) if name else of_name(url)
        kind = by_name if kind == "document" else kind
        media_type = media_type if kind_of(media_type) == kind else ""
        return Media(kind, UrlSource(url), media_type, name, detail, extensions)
    media_type, data, exact = read_data_url(url)
    if not exact:
        own = {**extensions.get(PROTOCOL, {}), "_url": url}
        extensions = {**extensions, PROTOCOL: own}
    if kind == "document":
        kind = kind_of(media_type)
    return Media(kind, Base64Source(data), media_type, name, detail, extensions)


def read_data_url(url: str) -> tuple[str, str, bool]:
    """MIME type, base64 text, and whether `data:{type};base64,{text}` is exactly what was given."""
    head, _, data = url[5:].partition(",")
    media_type, *options = head.split(";")
    if "base64" in (option.strip().lower() for option in options):
        return media_type, data, url.startswith("data:") and head == f"{media_type};base64"
    return media_type, base64.b64encode(unquote_to_bytes(data)).decode(), False


# ---------------------------------------------------------------- encoding


def restore(extensions: Extensions, nested: str, outer: dict[str, Any], inner: dict[str, Any]) -> None:
    """Put the bag's keys back: `nested.key` into `inner`, others into `outer`; notes (`_…`) stay away."""
    if not extensions:
        return
    for key, value in extensions.get(PROTOCOL, NO_EXTENSIONS).items():
        if key.startswith("_"):
            continue
        prefix, dot, name = key.partition(".")
        if dot and prefix == nested:
            inner[name] = value
        else:
            outer[key] = value


def note(extensions: Extensions, key: str) -> Any:
    """A note on spelling that the decoder left, or None."""
    return extensions[PROTOCOL].get(key) if PROTOCOL in extensions else None


def with_cache_control(out: dict[str, Any], extensions: Extensions, allowed: bool) -> dict[str, Any]:
    hint = extensions.get("anthropic", NO_EXTENSIONS).get("cache_control") if extensions else None
    if hint is not None and (allowed or note(extensions, "_cache_control")):
        out["cache_control"] = hint
    return out


def encode_text(part: Text, cache_control: bool = False) -> dict[str, Any] | str:
    if not part.extensions:
        return {"type": "text", "text": part.text}
    if note(part.extensions, "_string"):
        return part.text
    out = {"type": "text", "text": part.text}
    restore(part.extensions, "text", out, out)
    return with_cache_control(out, part.extensions, cache_control)


def encode_refusal(part: Refusal) -> dict[str, Any]:
    out = {"type": "refusal", "refusal": part.text}
    restore(part.extensions, "refusal", out, out)
    return out


def encode_media(part: Media, cache_control: bool = False) -> dict[str, Any] | None:
    """The content part for `part`; None where Chat Completions has no such input."""
    match part.kind:
        case "image":
            out = _encode_image(part)
        case "audio":
            out = _encode_audio(part)
        case "video":
            out = _encode_video(part)
        case _:
            out = _encode_file(part)
    return with_cache_control(out, part.extensions, cache_control) if out else None


def data_url(part: Media, default: str) -> str | None:
    """The URL for bytes or a link; None for a file that another provider holds."""
    exact = note(part.extensions, "_url")
    if isinstance(exact, str):
        return exact
    match part.source:
        case Base64Source(data):
            # an empty type is kept: whoever wrote `data:;base64,` meant it
            media_type = part.media_type or ("" if note(part.extensions, "_file") else default)
            return f"data:{media_type};base64,{data}"
        case UrlSource(url):
            return url
        case _:
            return None


def _encode_image(part: Media) -> dict[str, Any] | None:
    if note(part.extensions, "_file") or (note(part.extensions, "_bare") and part.name):
        return _encode_file(part)
    url = data_url(part, "image/png")
    if url is None:
        return _encode_file(part)
    if note(part.extensions, "_bare"):
        out: dict[str, Any] = {"type": "image_url", "image_url": url}
        restore(part.extensions, "image_url", out, out)
        return out
    image = {"url": url}
    if part.detail is not None:
        image["detail"] = part.detail
    out = {"type": "image_url", "image_url": image}
    restore(part.extensions, "image_url", out, image)
    return out


def _encode_audio(part: Media) -> dict[str, Any] | None:
    name = AUDIO_FORMATS.get(part.media_type) or part.media_type.removeprefix("audio/")
    if note(part.extensions, "_file") or not isinstance(part.source, Base64Source):
        return _encode_file(part) if PROTOCOL in part.extensions else None
    audio = {"data": part.source.data, "format": name}
    out = {"type": "input_audio", "input_audio": audio}
    restore(part.extensions, "input_audio", out, audio)
    return out


def _encode_video(part: Media) -> dict[str, Any] | None:
    """Video has no place in OpenAI's API; what a client wrote for its own provider goes back."""
    if note(part.extensions, "_file"):
        return _encode_file(part)
    url = data_url(part, "video/mp4")
    if url is None or PROTOCOL not in part.extensions:
        return None
    out = {"type": "video_url", "video_url": {"url": url}}
    restore(part.extensions, "video_url", out, out)
    return out


def _encode_file(part: Media) -> dict[str, Any] | None:
    file: dict[str, Any] = {}
    if part.name is not None:
        file["filename"] = part.name
    match part.source:
        case FileIdSource(file_id, origin):
            if origin not in (PROTOCOL, "openai-responses"):
                return None
            file["file_id"] = file_id
        case PlainTextSource(text):
            return {"type": "text", "text": document_text(part.name, text)}
        case Base64Source(data) if note(part.extensions, "_bare"):
            file["file_data"] = data
        case Base64Source(data) if _is_text(part) and not note(part.extensions, "_file"):
            return {"type": "text", "text": document_text(part.name, decoded_text(data))}
        case _:
            file["file_data"] = data_url(part, "application/pdf")
            if part.name is None and PROTOCOL not in part.extensions:
                file["filename"] = "document.pdf"  # the API asks for a name beside file_data
    out = {"type": "file", "file": file}
    restore(part.extensions, "file", out, file)
    return out


def _is_text(part: Media) -> bool:
    """OpenAI's `file_data` takes PDF only ("an application/pdf MIME type"): texts go as text."""
    return part.media_type.startswith("text/") or part.media_type in ("application/json", "application/xml")


def decoded_text(data: str) -> str:
    try:
        return base64.b64decode(data).decode("utf-8", "replace")
    except binascii.Error:
        return data


def document_text(name: str | None, text: str) -> str:
    return f"{name}:\n{text}" if name else text
