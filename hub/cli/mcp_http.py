"""MCP over Streamable HTTP, as small as the command line needs it: messages in, messages out.

Nothing here reads or changes what the messages say, but for the few fields that the transport
mirrors in headers: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from adapters.framing import SseDecoder
from hub.cli.errors import CommandError

MODERN_VERSION = "2026-07-28"
VERSION_FIELD = "io.modelcontextprotocol/protocolVersion"
NAMED_METHODS = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods whose subject stands in the header `Mcp-Name`, and the parameter that has it."""
TIMEOUT = httpx.Timeout(None, connect=5)


class McpError(CommandError):
    """A JSON-RPC error answer."""

    def __init__(self, error: Any) -> None:
        error = error if isinstance(error, Mapping) else {}
        self.code = error.get("code")
        super().__init__(str(error.get("message") or "the hub answered with an error"))


def modern_version(message: Mapping[str, Any]) -> str | None:
    """The protocol version of a message of the stateless era; None for one of the older era."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(VERSION_FIELD) if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def modern_headers(message: Mapping[str, Any], version: str) -> dict[str, str]:
    """The headers that repeat what a request of the stateless era says."""
    method = str(message.get("method"))
    headers = {"MCP-Protocol-Version": version, "Mcp-Method": method}
    subject = (message.get("params") or {}).get(NAMED_METHODS.get(method, ""))
    if isinstance(subject, str):
        headers["Mcp-Name"] = header_value(subject)
    return headers


def header_value(value: str) -> str:
    """As is where a header can carry it, else the base64 form of the specification."""
    if value.isascii() and value.isprintable() and value == value.strip() and not value.startswith("=?"):
        return value
    from mcp.shared.inbound import encode_header_value

    return encode_header_value(value)


async def messages(response: httpx.Response) -> AsyncIterator[bytes]:
    """The JSON-RPC messages of an answer, each on one line, as soon as each is there."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        decoder = SseDecoder()
        async for data in response.aiter_raw():
            for event in decoder.feed(data):
                if event.data:
                    yield _one_line(event.data.encode())
        return
    body = await response.aread()
    if body.strip():
        yield _one_line(body)


def _one_line(document: bytes) -> bytes:
    """A raw line break in JSON is white space: those within strings are written as `\\n`."""
    return document.replace(b"\r", b" ").replace(b"\n", b" ").strip()


async def request(
    client: httpx.AsyncClient, path: str, method: str, params: Mapping[str, Any]
) -> dict[str, Any]:
    """One stateless request and its result. Raises `McpError` and `httpx.HTTPError`."""
    from hub.cli.run import version

    meta = {
        VERSION_FIELD: MODERN_VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "hub", "version": version()},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        **modern_headers(message, MODERN_VERSION),
    }
    async with client.stream("POST", path, content=json.dumps(message), headers=headers) as response:
        async for line in messages(response):
            answer = _parse(line)
            if "error" in answer:
                raise McpError(answer["error"])
            if "result" in answer:
                return dict(answer["result"])
        raise CommandError(f"the hub answered {method} with status {response.status_code} and no result")


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}
