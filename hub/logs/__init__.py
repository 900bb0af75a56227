"""The log: one thread writes what the others say, to standard error and to a file that `hub logs` reads.

lines      what is said, as a JSON object or a line of text
files      the log file, which is put aside when it gets long
pipeline   from loggers and records to both, without keeping anyone waiting
reading    the files again, filtered, and followed while they grow
"""
