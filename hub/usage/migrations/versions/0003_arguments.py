"""What a tool was called with: its hash, and where it is asked for the arguments."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("calls", sa.Column("arguments_hash", sa.Text, nullable=False, server_default=""))
    op.add_column("calls", sa.Column("arguments", sa.Text))
