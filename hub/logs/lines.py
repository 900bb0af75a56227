"""A line of the log: a JSON object in the file, text for eyes."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from hub.requests import Request
from hub.usage.records import ToolRecord
from routing.usage import Record

Line = dict[str, Any]
"""`time` (ISO 8601, UTC), `level`, `logger`, and `message` or what a request was; `request` is its id."""

LEVELS = ("debug", "info", "warning", "error")
ACCESS = "hub.access"
_FORMATTER = logging.Formatter()


def rank(level: str) -> int:
    """The higher, the worse."""
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def of_event(event: logging.LogRecord, request_id: str) -> Line:
    line = _line(event.created, _level(event.levelno), event.name)
    if request_id:
        line["request"] = request_id
    line["message"] = event.getMessage()
    if event.exc_info:
        line["trace"] = _FORMATTER.formatException(event.exc_info)
    return line


def of_chat(record: Record) -> Line:
    usage = record.usage
    target = f"{record.provider}/{record.model}" if record.provider else ""
    return _line(record.time + record.duration, _level_of(record.status), ACCESS) | _told(
        request=record.request_id,
        kind=record.operation,
        key=record.caller,
        client=record.client,
        group=record.group,
        target=target,
        protocol=record.client_protocol,
        target_protocol=record.target_protocol,
        status=record.status,
        stream=record.stream,
        duration=round(record.duration, 4),
        first_byte=None if record.first_byte is None else round(record.first_byte, 4),
        tokens_in=usage.input_tokens if usage else None,
        tokens_cached=usage.cached_tokens if usage else None,
        tokens_out=usage.output_tokens if usage else None,
        estimated=record.estimated or None,
        cost=record.cost,
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
        retries=max(0, record.attempts - 1) or None,
        losses=list(record.losses),
        error=record.error,
    )


def of_tool(record: ToolRecord) -> Line:
    level = "info" if record.error_kind is None else "warning"
    return _line(record.time + record.duration, level, ACCESS) | _told(
        request=record.request_id,
        kind="tool",
        key=record.caller,
        client=record.client,
        profile=record.profile,
        server=record.server,
        tool=record.tool,
        duration=round(record.duration, 4),
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
        error=record.error_kind,
    )


def of_other(request: Request) -> Line:
    """A request that was no chat: tools, control, and what was refused at the door."""
    return _line(
        time.time(), _level_of(request.status) if request.status >= 400 else "debug", ACCESS
    ) | _told(
        request=request.id,
        kind="http",
        key=request.key,
        method=request.method,
        path=request.path[:500],
        status=request.status,
        duration=round(request.duration, 4),
    )


def text(line: Mapping[str, Any], *, seconds_only: bool = True) -> str:
    """A line for eyes, without its end."""
    moment = moment_of(line)
    clock = moment.strftime("%H:%M:%S" if seconds_only else "%Y-%m-%d %H:%M:%S") if moment else ""
    said = line.get("message")
    words = str(said) if said is not None else _access_text(line)
    if said is not None and (id_ := line.get("request")) and id_ not in words:
        words += f" [{id_}]"
    trace = f"\n{line['trace']}" if "trace" in line else ""
    return f"{clock} {str(line.get('level', '')).upper():<7} {line.get('logger', '')}: {words}{trace}"


def moment_of(line: Mapping[str, Any]) -> datetime | None:
    """When it was said, in local time."""
    try:
        return datetime.fromisoformat(line["time"]).astimezone()
    except (KeyError, TypeError, ValueError):
        return None


def _access_text(line: Mapping[str, Any]) -> str:
    match line.get("kind"):
        case "tool":
            what = f"tool {line.get('server', '')} {line.get('tool', '')}"
        case "http":
            what = f"{line.get('method', '')} {line.get('path', '')} {line.get('status', '')}"
        case kind:
            way = (
                f"{line.get('group', '')} -> {line['target']}" if "target" in line else line.get("group", "")
            )
            what = f"{kind} {way} {line.get('status', '')}"
    parts = [what, f"{line.get('duration', 0):.3f}s"]
    if "first_byte" in line:
        parts.append(f"first {line['first_byte']:.3f}s")
    if "tokens_in" in line or "tokens_out" in line:
        parts.append(f"{line.get('tokens_in', 0)}+{line.get('tokens_out', 0)} tokens")
    parts += [f"{name} {line[name]}" for name in ("key", "client", "retries") if name in line]
    if "losses" in line:
        parts.append(f"lost {', '.join(line['losses'])}")
    if "error" in line:
        parts.append(f"error: {line['error']}")
    return f"{', '.join(parts)} [{line.get('request', '')}]"


def _line(at: float, level: str, logger: str) -> Line:
    whole = int(at)
    return {"time": f"{_second(whole)}.{int((at - whole) * 1000):03d}Z", "level": level, "logger": logger}


@lru_cache(maxsize=16)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _told(**values: Any) -> Line:
    """Without what there is nothing to say of."""
    return {name: value for name, value in values.items() if value or value not in (None, "", [])}


def _level_of(status: int) -> str:
    return "error" if status >= 500 or status == 0 else "warning" if status >= 400 else "info"


def _level(number: int) -> str:
    return LEVELS[min(max(number // 10 - 1, 0), 3)]
