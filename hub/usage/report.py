"""What `hub usage` asks of the database: sums of calls by day, group, model and so on.

Reads alone, with or without a hub that writes at the same time. Blocking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, not_, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.compiler import compiles

from hub.usage.database import UsageError, check_revision, error_of, open_to_read
from hub.usage.tables import CALLS

By = Literal["day", "group", "model", "provider", "key", "client", "tool"]
BY: tuple[By, ...] = get_args(By)

_QUARTER = 900
"""Days begin at a quarter of an hour in every time zone, in winter and in summer: quarters are summed up by
the database, and made days here."""
_C = CALLS.c


class _Quarter(ColumnElement[int]):
    """Which quarter of an hour a call came in: SQLite may lack `floor`, PostgreSQL's `cast` rounds."""

    inherit_cache = True


@compiles(_Quarter, "sqlite")
def _cut_off(element: _Quarter, compiler: Any, **options: Any) -> str:
    return f"CAST(calls.time / {_QUARTER} AS INTEGER)"


@compiles(_Quarter)
def _floor(element: _Quarter, compiler: Any, **options: Any) -> str:
    return f"floor(calls.time / {_QUARTER})"


_NAMES: Mapping[By, tuple[ColumnElement[Any], ...]] = {
    "day": (_Quarter(),),
    "group": (_C.group_name,),
    "model": (_C.provider, _C.model),
    "provider": (_C.provider,),
    "key": (_C.key_name,),
    "client": (_C.client,),
    "tool": (_C.server, _C.tool),
}
_IS_TOOL = _C.kind == "tool"
_FAILED = or_(_C.status >= 400, _C.error_kind.is_not(None))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls. `since` and `until` in Unix seconds; the rest by exact name, None: all."""

    since: float
    until: float
    group: str | None = None
    model: str | None = None
    provider: str | None = None
    key: str | None = None
    client: str | None = None


@dataclass(slots=True)
class Sums:
    """Of the calls of one name."""

    name: str
    requests: int = 0
    """Chats, embeddings, token counts."""
    tool_calls: int = 0
    failed: int = 0
    """Of both."""
    retries: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_cache_write: int = 0
    tokens_out: int = 0
    tokens_reasoning: int = 0
    estimated: int = 0
    """Requests whose tokens are the hub's estimate."""
    cost: float | None = None
    """US dollars; None: no price is known for any of them."""
    unpriced: int = 0
    """Requests with tokens and without a price: the cost lacks theirs."""
    first_byte: float | None = None
    """Mean seconds to the first byte."""
    duration: float | None = None
    """Mean seconds."""
    bytes_in: int = 0
    bytes_out: int = 0
    _measured: int = field(default=0, repr=False)
    _first_bytes: float = field(default=0.0, repr=False)
    _durations: float = field(default=0.0, repr=False)

    def add(self, row: Mapping[str, Any]) -> None:
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + int(row[name] or 0))
        if row["cost"] is not None:
            self.cost = round((self.cost or 0.0) + float(row["cost"]), 9)
        self._measured += int(row["measured"] or 0)
        self._first_bytes += float(row["first_bytes"] or 0)
        self._durations += float(row["durations"] or 0)
        calls = self.requests + self.tool_calls
        self.first_byte = round(self._first_bytes / self._measured, 4) if self._measured else None
        self.duration = round(self._durations / calls, 4) if calls else None

    def plain(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}


_COUNTS = (
    "requests",
    "tool_calls",
    "failed",
    "retries",
    "tokens_in",
    "tokens_cached",
    "tokens_cache_write",
    "tokens_out",
    "tokens_reasoning",
    "estimated",
    "unpriced",
    "bytes_in",
    "bytes_out",
)


@dataclass(frozen=True, slots=True)
class Report:
    by: By
    since: float
    until: float
    rows: tuple[Sums, ...]
    """Days in their order, the rest by cost, then tokens, then calls."""
    total: Sums

    def plain(self) -> dict[str, Any]:
        """As JSON: `hub usage --json` and `GET /hub/v1/usage`."""
        return {
            "by": self.by,
            "since": datetime.fromtimestamp(self.since, UTC).isoformat(),
            "until": datetime.fromtimestamp(self.until, UTC).isoformat(),
            "rows": [row.plain() for row in self.rows],
            "total": self.total.plain(),
        }


def report(url: str, by: By, chosen: Filter, zone: tzinfo | None = None) -> Report:
    """Sums by name. Days are those of `zone`; None: of this machine. Raises UsageError."""
    sums: dict[str, Sums] = {}
    total = Sums("total")
    with reading(url) as connection:
        for row in _answers(connection, by, chosen):
            name = _name(by, row, zone)
            sums.setdefault(name, Sums(name)).add(row)
            total.add(row)
    rows = sorted(sums.values(), key=_by_name if by == "day" else _by_weight)
    return Report(by, chosen.since, chosen.until, tuple(rows), total)


def spent(url: str, key: str, since: float) -> float:
    """US dollars of a key's calls since `since` (Unix seconds), as far as prices are known.

    Raises UsageError."""
    total = select(func.sum(_C.cost)).where(_C.key_name == key, _C.time >= since)
    with reading(url) as connection:
        return float(connection.execute(total).scalar() or 0.0) if connection is not None else 0.0


@contextmanager
def reading(url: str) -> Iterator[Connection | None]:
    """None where nothing has been written yet."""
    engine = open_to_read(url)
    if engine is None:
        yield None
        return
    try:
        with engine.connect() as connection:
            yield connection if check_revision(connection) else None
    except SQLAlchemyError as error:
        raise error_of(url, error) from error
    finally:
        engine.dispose()


def _answers(connection: Connection | None, by: By, chosen: Filter) -> list[Mapping[str, Any]]:
    if connection is None:
        return []
    return [row._asdict() for row in connection.execute(_question(by, chosen))]


def _question(by: By, chosen: Filter) -> Select[Any]:
    names = [column.label(f"name_{position}") for position, column in enumerate(_NAMES[by])]
    is_priced_by_tokens = and_(_C.tokens_in.is_not(None), _C.cost.is_(None))
    return (
        select(
            *names,
            _count(not_(_IS_TOOL)).label("requests"),
            _count(_IS_TOOL).label("tool_calls"),
            _count(_FAILED).label("failed"),
            _count(and_(_C.estimated, not_(_IS_TOOL))).label("estimated"),
            _count(is_priced_by_tokens).label("unpriced"),
            *(func.sum(_C[name]).label(name) for name in _SUMMED),
            func.count(_C.first_byte).label("measured"),
            func.sum(_C.first_byte).label("first_bytes"),
            func.sum(_C.duration).label("durations"),
        )
        .where(*_conditions(by, chosen))
        .group_by(*_NAMES[by])
    )


_SUMMED = (
    "retries",
    "tokens_in",
    "tokens_cached",
    "tokens_cache_write",
    "tokens_out",
    "tokens_reasoning",
    "cost",
    "bytes_in",
    "bytes_out",
)


def _conditions(by: By, chosen: Filter) -> Iterator[ColumnElement[bool]]:
    yield _C.time >= chosen.since
    yield _C.time < chosen.until
    if by == "tool":
        yield _IS_TOOL
    elif by in ("group", "model", "provider"):
        yield not_(_IS_TOOL)
    wanted = {
        _C.group_name: chosen.group,
        _C.model: chosen.model,
        _C.provider: chosen.provider,
        _C.key_name: chosen.key,
        _C.client: chosen.client,
    }
    for column, value in wanted.items():
        if value is not None:
            yield column == value


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _name(by: By, row: Mapping[str, Any], zone: tzinfo | None) -> str:
    if by == "day":
        return datetime.fromtimestamp(float(row["name_0"]) * _QUARTER, zone).strftime("%Y-%m-%d")
    parts = [str(row[f"name_{position}"]) for position in range(len(_NAMES[by]))]
    return "/".join(part for part in parts if part)


def _by_name(sums: Sums) -> tuple[Any, ...]:
    return (sums.name,)


def _by_weight(sums: Sums) -> tuple[Any, ...]:
    tokens = sums.tokens_in + sums.tokens_out
    return (-(sums.cost or 0.0), -tokens, -sums.requests - sums.tool_calls, sums.name)


__all__ = ["BY", "By", "Filter", "Report", "Sums", "UsageError", "report", "spent"]
