"""An MCP server with a few tools, over stdio or Streamable HTTP."""

from __future__ import annotations

import sys

from fastmcp import FastMCP

server = FastMCP("bench")


@server.tool
def echo(text: str) -> str:
    """Give the text back."""
    return text


for number in range(9):

    @server.tool(name=f"tool_{number}", description=f"Tool number {number} of the benchmark.")
    def one(a: int, b: str = "x", c: bool = False) -> str:
        return f"{a}{b}{c}"


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio", show_banner=False)
    else:
        server.run("http", port=int(sys.argv[1]), show_banner=False, log_level="warning")
