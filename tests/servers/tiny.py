"""A stdio server of the 2025 era on the standard library alone: it is up in some 30 ms.

python tiny.py PREFIX: one tool `PREFIX_echo`.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def answer(method: str, params: dict[str, Any], prefix: str) -> dict[str, Any] | None:
    match method:
        case "initialize":
            return {
                "protocolVersion": params.get("protocolVersion", "2025-11-25"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "tiny", "version": "1"},
            }
        case "tools/list":
            schema = {"type": "object", "properties": {"text": {"type": "string"}}}
            tool = {"name": f"{prefix}_echo", "description": "Gives the text back.", "inputSchema": schema}
            return {"tools": [tool]}
        case "tools/call":
            text = str(params.get("arguments", {}).get("text", ""))
            return {"content": [{"type": "text", "text": text}]}
        case "ping":
            return {}
    return None


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        result = answer(message["method"], message.get("params") or {}, sys.argv[1])
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if result is None:
            reply["error"] = {"code": -32601, "message": f"Method not found: {message['method']}"}
        else:
            reply["result"] = result
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
