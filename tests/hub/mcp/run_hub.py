"""A program that runs an McpHub with the given stdio servers, prints its port, and waits."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from hub.settings.mcp import McpServerSettings
from tests.hub.mcp.harness import running


async def main() -> None:
    servers = {name: McpServerSettings.model_validate(spec) for name, spec in json.loads(sys.argv[1]).items()}
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, stop.set)
    async with running(servers) as hub:
        print(json.dumps({"port": hub.port, "pids": [row.pid for row in hub.hub.status()]}), flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
