"""`hub doctor`: everything that can be wrong, looked at at once, and what to do about each.

`findings` is the vocabulary, one module looks at one part of the hub, `examination` runs them all.
"""
