"""The table of calls, as the newest revision has it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

REVISIONS = ("0001", "0002", "0003")
"""Those of the migrations, oldest first. Told here too, so that Alembic is imported only to upgrade."""


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


_BIG = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the type is INTEGER, which has 64 bits there."""

CALLS = Table(
    "calls",
    METADATA,
    Column("id", _BIG, primary_key=True),
    Column("time", Double, nullable=False),  # of arrival, in Unix seconds
    _text("request_id"),
    Column("kind", String(20), nullable=False),  # chat, compact, embeddings, count_tokens, tool
    _text("key_name"),
    _text("client"),
    _text("group_name"),
    _text("provider"),
    _text("model"),
    _text("client_protocol"),
    _text("target_protocol"),
    _text("profile"),
    _text("server"),
    _text("tool"),
    Column("status", Integer),  # what the client got; none for tools
    Column("stream", Boolean(create_constraint=False), nullable=False),
    Column("tokens_in", _BIG),  # cached ones included; NULL: nobody knows
    Column("tokens_cached", _BIG),
    Column("tokens_cache_write", _BIG),
    Column("tokens_out", _BIG),  # reasoning included
    Column("tokens_reasoning", _BIG),
    Column("estimated", Boolean(create_constraint=False), nullable=False),
    Column("first_byte", Double),  # seconds
    Column("duration", Double, nullable=False),  # seconds
    Column("bytes_in", _BIG, nullable=False),
    Column("bytes_out", _BIG, nullable=False),
    _text("losses"),
    Column("retries", Integer, nullable=False),
    Column("cost", Double),  # US dollars; NULL: no price is known
    Column("error_kind", Text),
    _text("arguments_hash"),
    Column("arguments", Text),  # of tools; NULL: not asked for
    Index("calls_by_time", "time"),
    Index("calls_by_key", "key_name", "time"),
)
