"""The programs that use the hub: where each keeps its MCP servers, and changing that file safely."""
