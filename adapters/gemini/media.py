"""MIME types: what they stand for, and which one to tell where a link says none.

Gemini takes no part without a MIME type for inline bytes, and guesses badly for links.
https://ai.google.dev/gemini-api/docs/file-input-methods
"""

from __future__ import annotations

from adapters.canonical import MediaKind

_BY_SUFFIX = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "bmp": "image/bmp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "csv": "text/csv",
    "xml": "text/xml",
    "rtf": "text/rtf",
    "json": "application/json",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "aiff": "audio/aiff",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "webm": "video/webm",
    "wmv": "video/x-ms-wmv",
    "3gp": "video/3gpp",
}

_BY_KIND: dict[MediaKind, str] = {
    "image": "image/jpeg",
    "document": "application/pdf",
    "audio": "audio/mpeg",
    "video": "video/mp4",
}

_BY_FIRST_CHARACTERS = (
    ("/9j/", "image/jpeg"),
    ("iVBORw0KGgo", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
)
"""How the base64 text of common formats begins."""

_VIDEO_HOSTS = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")


def kind_of_mime(mime: str, name: str = "") -> MediaKind:
    """Image, audio and video by their MIME type, or by a file's name; all others are documents."""
    mime = mime or guess_by_name(name) or ("video/mp4" if name.startswith(_VIDEO_HOSTS) else "")
    match mime.partition("/")[0].lower():
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"


def guess_by_name(name: str) -> str:
    """The MIME type that a file's name or a link says; "" if it says none."""
    path = name.partition("?")[0].partition("#")[0]
    return _BY_SUFFIX.get(path.rpartition("/")[2].rpartition(".")[2].lower(), "")


def mime_of_link(kind: MediaKind, link: str, name: str | None = None) -> str | None:
    """For a link without MIME type; None where Google knows better (YouTube)."""
    if link.startswith(_VIDEO_HOSTS):
        return None
    return guess_by_name(link) or guess_by_name(name or "") or _BY_KIND[kind]


def mime_of_bytes(kind: MediaKind, base64_text: str, name: str | None = None) -> str:
    """For inline bytes without MIME type."""
    for beginning, mime in _BY_FIRST_CHARACTERS:
        if base64_text.startswith(beginning):
            return mime
    return guess_by_name(name or "") or _BY_KIND[kind]
