"""What is written down of a call: values from the hot path, and the row that is made of one later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from routing.usage import Record

Row = dict[str, Any]
"""A row of the table by its columns' names."""

_LONGEST_TEXT = 200
LONGEST_ARGUMENTS = 10_000
_LARGEST = 2**62
"""Counts come from upstreams: what no database could hold must not keep the rest from being written."""


@dataclass(frozen=True, slots=True)
class ToolRecord:
    """What happened to one call of an MCP tool."""

    time: float
    """When it arrived, in Unix seconds."""
    request_id: str = ""
    caller: str = ""
    """The name of the hub's key; "": there was none to present."""
    client: str = ""
    """As the client called itself."""
    profile: str = ""
    """The endpoint: `/mcp/{profile}`, "" for `/mcp`."""
    server: str = ""
    """"": no server has such a tool."""
    tool: str = ""
    """The server's own name of it."""
    error_kind: str | None = None
    """`tool`: it ran and failed; `refused`: an error of the protocol; `unavailable`: the server gave no
    answer; `client_gone`. None: it went well."""
    duration: float = 0.0
    """Seconds."""
    bytes_in: int = 0
    bytes_out: int = 0
    """Of the arguments and the result, as JSON."""
    arguments_hash: str = ""
    """The same for the same arguments, and nothing can be read from it."""
    arguments: str | None = None
    """As JSON, where the settings ask for it (`audit.arguments`)."""


ToolSink = Callable[[ToolRecord], None]
"""Must not block and must not raise."""


def row_of(record: Record | ToolRecord) -> Row:
    return _of_chat(record) if isinstance(record, Record) else _of_tool(record)


def _of_chat(record: Record) -> Row:
    usage = record.usage
    return _EMPTY | {
        "time": record.time,
        "request_id": _text(record.request_id),
        "kind": record.operation,
        "key_name": _text(record.caller),
        "client": _text(record.client),
        "group_name": _text(record.group),
        "provider": _text(record.provider),
        "model": _text(record.model),
        "client_protocol": _text(record.client_protocol),
        "target_protocol": _text(record.target_protocol),
        "status": record.status,
        "stream": record.stream,
        "tokens_in": _count(usage.input_tokens if usage else None),
        "tokens_cached": _count(usage.cached_tokens if usage else None),
        "tokens_cache_write": _count(usage.cache_write_tokens if usage else None),
        "tokens_out": _count(usage.output_tokens if usage else None),
        "tokens_reasoning": _count(usage.reasoning_tokens if usage else None),
        "estimated": record.estimated,
        "first_byte": record.first_byte,
        "duration": record.duration,
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "losses": _text(",".join(record.losses)),
        "retries": max(0, record.attempts - 1),
        "cost": record.cost,
        "error_kind": record.error_kind,
    }


def _of_tool(record: ToolRecord) -> Row:
    return _EMPTY | {
        "time": record.time,
        "request_id": _text(record.request_id),
        "kind": "tool",
        "key_name": _text(record.caller),
        "client": _text(record.client),
        "profile": _text(record.profile),
        "server": _text(record.server),
        "tool": _text(record.tool),
        "duration": record.duration,
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "error_kind": record.error_kind,
        "arguments_hash": record.arguments_hash,
        "arguments": None if record.arguments is None else _storable(record.arguments[:LONGEST_ARGUMENTS]),
    }


_EMPTY: Row = {
    "group_name": "",
    "provider": "",
    "model": "",
    "client_protocol": "",
    "target_protocol": "",
    "profile": "",
    "server": "",
    "tool": "",
    "status": None,
    "stream": False,
    "tokens_in": None,
    "tokens_cached": None,
    "tokens_cache_write": None,
    "tokens_out": None,
    "tokens_reasoning": None,
    "estimated": False,
    "first_byte": None,
    "losses": "",
    "retries": 0,
    "cost": None,
    "arguments_hash": "",
    "arguments": None,
}
"""All rows of one statement have the same columns."""


def _text(text: str) -> str:
    """Without what PostgreSQL cannot hold (NUL, lone surrogates), and of a bounded length."""
    return _storable(text[:_LONGEST_TEXT])


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _count(count: int | None) -> int | None:
    return None if count is None else max(0, min(int(count), _LARGEST))
