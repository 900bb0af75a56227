"""What may stand in a name, a URL or a header."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from hub.settings.document import Document
from hub.settings.problems import KeyPath

PATH_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


TOOL_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,48}")
"""A server's name begins its tools' names, and chat providers take `[a-zA-Z0-9_-]{1,64}` for those."""


HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


FRAMING_HEADERS = frozenset(
    (
        "host",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
    )
)
"""They belong to the connection or say how the body is written."""


CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def urlsplit_or_none(url: str) -> Any:
    """`urlsplit`, or None for what is no URL at all (also a port that is no number)."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def web_url(document: Document, path: KeyPath, url: str) -> None:
    if path in document.problems:
        return
    parts = urlsplit_or_none(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        document.refuse(path, "must be a whole URL", "begin it with http:// or https://")
    elif parts.username or parts.password:
        document.refuse(path, "must not hold a user or password", "put them into `headers`, as Authorization")


def headers_of(document: Document, place: KeyPath, entry: object) -> None:
    headers = entry.get("headers") if isinstance(entry, dict) else None
    for header, value in headers.items() if isinstance(headers, dict) else ():
        path = (*place, "headers", header)
        if not HEADER_NAME.fullmatch(header):
            document.refuse(path, f"`{header}` cannot be the name of a header")
        elif isinstance(value, str) and (CONTROL.search(value) or not value.isascii()):
            document.refuse(path, "has a line break or another character that a header cannot have")


def texts(path: KeyPath, values: object) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(values, str):
        yield path, values
    elif isinstance(values, list):
        yield from (((*path, step), value) for step, value in enumerate(values) if isinstance(value, str))


def repaired(name: str, also: str = "") -> str:
    repaired = re.sub(rf"[^A-Za-z0-9_{re.escape(also)}-]+", "-", name).strip("-.")[:48]
    return repaired or "my-name"
