"""The MCP endpoint of a tool call; what a key spent, found without reading every row."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("calls", sa.Column("profile", sa.Text, nullable=False, server_default=""))
    op.create_index("calls_by_key", "calls", ["key_name", "time"])
