"""A small MCP server for the command line's tests: `python example_server.py`."""

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ImageContent

server = MCPServer("example")


@server.tool()
def add(a: int, b: int, note: str = "") -> int:
    """Add two numbers.

    The second paragraph is for those who read on.
    """
    return a + b


@server.tool()
def fail() -> str:
    """Always fail."""
    raise ToolError("out of\npaper")


@server.tool()
def escape() -> str:
    """Answer with what would clear a terminal."""
    return "before\x1b[2Jafter"


@server.tool()
def picture() -> ImageContent:
    """A picture of nothing."""
    return ImageContent(type="image", data="AAAA", mime_type="image/png")


@server.tool()
async def count(to: int, context: Context) -> str:
    """Report progress on the way."""
    for step in range(to):
        await context.report_progress(step + 1, to)
    return "done"


if __name__ == "__main__":
    server.run("stdio")
