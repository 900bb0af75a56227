"""What `hub audit` asks of the database: tool calls one by one. Reads alone. Blocking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hub.usage.report import reading
from hub.usage.tables import CALLS

_C = CALLS.c


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which calls: from `since` (Unix seconds) on, by exact name (None: all), the newest `limit` of them."""

    since: float
    server: str | None = None
    tool: str | None = None
    key: str | None = None
    client: str | None = None
    failed: bool = False
    limit: int = 100


def tool_calls(url: str, chosen: Chosen) -> list[dict[str, Any]]:
    """The oldest first. `outcome` is `ok` or the kind of error. Raises UsageError."""
    columns = (
        *(_C.time, _C.key_name.label("key"), _C.client, _C.profile, _C.server, _C.tool, _C.error_kind),
        *(_C.duration, _C.bytes_in, _C.bytes_out, _C.arguments_hash, _C.arguments, _C.request_id),
    )
    question = select(*columns).where(_C.kind == "tool", _C.time >= chosen.since)
    named = ((_C.server, chosen.server), (_C.tool, chosen.tool), (_C.key_name, chosen.key))
    for column, name in (*named, (_C.client, chosen.client)):
        if name is not None:
            question = question.where(column == name)
    if chosen.failed:
        question = question.where(_C.error_kind.is_not(None))
    question = question.order_by(_C.time.desc(), _C.id.desc()).limit(chosen.limit)
    with reading(url) as connection:
        rows = [dict(row._asdict()) for row in connection.execute(question)] if connection is not None else []
    return [{**row, "outcome": row.pop("error_kind") or "ok"} for row in reversed(rows)]
