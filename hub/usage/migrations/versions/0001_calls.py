"""One row for each call."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        _text("request_id"),
        sa.Column("kind", sa.String(20), nullable=False),
        _text("key_name"),
        _text("client"),
        _text("group_name"),
        _text("provider"),
        _text("model"),
        _text("client_protocol"),
        _text("target_protocol"),
        _text("server"),
        _text("tool"),
        sa.Column("status", sa.Integer),
        sa.Column("stream", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("tokens_in", _BIG),
        sa.Column("tokens_cached", _BIG),
        sa.Column("tokens_cache_write", _BIG),
        sa.Column("tokens_out", _BIG),
        sa.Column("tokens_reasoning", _BIG),
        sa.Column("estimated", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("first_byte", sa.Double),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("bytes_in", _BIG, nullable=False),
        sa.Column("bytes_out", _BIG, nullable=False),
        _text("losses"),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("cost", sa.Double),
        sa.Column("error_kind", sa.Text),
    )
    op.create_index("calls_by_time", "calls", ["time"])
