"""The arguments of the hub's own tools as a request for a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from adapters.canonical import Base64Source, ChatRequest, Media, Message, OutputFormat, Part, Text, UrlSource

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*;base64,(?P<data>[A-Za-z0-9+/=_-]+)")


def question(group: str, arguments: Mapping[str, Any]) -> ChatRequest:
    """Raises MCPError for arguments of another form than the tool's schema has."""
    parts: list[Part] = [_image(image, position) for position, image in enumerate(_images(arguments))]
    parts.append(Text(_text(arguments, "prompt", required=True)))
    system = _text(arguments, "system")
    schema = arguments.get("schema")
    if schema is not None and not isinstance(schema, dict):
        raise _wrong("schema", "must be a JSON Schema, an object")
    return ChatRequest(
        model=group,
        messages=(
            *((Message("system", (Text(system),)),) if system else ()),
            Message("user", tuple(parts)),
        ),
        max_tokens=_number(arguments, "max_tokens", int, 1, 10_000_000),
        temperature=_number(arguments, "temperature", float, 0, 2),
        output_format=OutputFormat("json_schema", schema, name="answer") if schema is not None else None,
    )


def known_only(arguments: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raises MCPError naming an argument that the tool does not have."""
    unknown = [name for name in arguments if name not in known]
    if unknown:
        there = f"there are: {', '.join(known)}" if known else "it takes none"
        raise MCPError(INVALID_PARAMS, f"unknown argument `{unknown[0]}`; {there}")


def _images(arguments: Mapping[str, Any]) -> list[Any]:
    images = arguments.get("images")
    if images is None:
        return []
    if not isinstance(images, list):
        raise _wrong("images", "must be a list of URLs")
    return images


def _image(image: Any, position: int) -> Media:
    if isinstance(image, str) and image.startswith(("https://", "http://")):
        return Media("image", UrlSource(image))
    match = _DATA_URL.fullmatch(image) if isinstance(image, str) else None
    if match is None:
        raise _wrong(f"images[{position}]", "must be an https:// URL, or a data: URL in base64")
    return Media("image", Base64Source(match["data"]), match["type"] or "image/png")


def _text(arguments: Mapping[str, Any], name: str, *, required: bool = False) -> str:
    value = arguments.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise _wrong(name, "must be a text" + (", and not empty" if required else ""))
    return value


def _number(arguments: Mapping[str, Any], name: str, kind: type, low: float, high: float) -> Any:
    value = arguments.get(name)
    if value is None:
        return None
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (kind is int and not whole):
        raise _wrong(name, f"must be {'a whole' if kind is int else 'a'} number")
    if not low <= value <= high:
        raise _wrong(name, f"must be from {low} to {high}")
    return kind(value)


def _wrong(name: str, message: str) -> MCPError:
    return MCPError(INVALID_PARAMS, f"`{name}` {message}")
