"""What the hub did, for whom and at what price: one row for each chat and tool call, never its content.

records     the tool call's record, and a record as a row
writer      a bounded queue and the thread that empties it into the database
database    opening, migrating, writing and pruning; SQLAlchemy is imported from here on only
tables      the table, and the revisions of its migrations
report      the questions of `hub usage`
prices      what models cost
"""
