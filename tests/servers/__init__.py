"""MCP servers that tests start as real processes."""
