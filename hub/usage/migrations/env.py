"""What Alembic runs: the migrations on the connection that the caller has opened.

For a new revision, from the repository's root: write `versions/NNNN_what.py` and add its number to
`hub.usage.tables.REVISIONS`; a test compares the table with what the migrations make of an empty database.
"""

from alembic import context

from hub.usage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite cannot alter a column
)
context.run_migrations()
