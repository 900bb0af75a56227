"""The recorder: full exchanges with models, kept for a while, so that they can be looked at and sent again.

tape       collects an exchange while it goes on
document   an exchange as JSON, without its secrets
store      the database of recordings, bounded by age and size
recorder   from the tapes to the database, by a thread of its own
comparing  what differs between two answers
"""
