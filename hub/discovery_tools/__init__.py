"""`discovery: search`: clients look for tools instead of getting thousands of definitions."""
