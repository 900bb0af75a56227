"""Lists as ready bytes: encoded once for each view, and put into each answer just before it is sent.

The SDK would validate, copy and encode a list of hundreds of definitions again for every request. It gets a
mark in place of the list instead, and the mark in what it writes becomes the list.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

import orjson
from starlette.types import Message, Scope, Send

_SLOT = "hub.ready"
"""In the scope of a request: `[bytes]` once its answer has a mark."""
_MARK = f"hub-{secrets.token_hex(16)}"
"""Nobody else can write it: not a client in its request's id, nor a server in a definition."""
_WRITTEN = json.dumps(_MARK).encode()


def encoded(definitions: Sequence[Any]) -> bytes:
    """As JSON on one line."""
    try:
        return orjson.dumps(definitions)
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return json.dumps(definitions, separators=(",", ":")).encode()


def put(scope: Scope | None, content: bytes) -> str | None:
    """What to answer with where `content` is meant. None: nobody would put it in place."""
    if scope is None or _SLOT not in scope:
        return None
    scope[_SLOT][:] = [content]
    return _MARK


def watching(scope: Scope, send: Send) -> Send:
    """`send` for the request of `scope`, which puts what `put` was given in the place of the mark."""
    slot: list[bytes] = []
    scope[_SLOT] = slot
    held: list[Message] = []

    async def watched(message: Message) -> None:
        if not slot:
            await send(message)
        elif message["type"] == "http.response.start":
            # Of JSON, which has a length that is known with the body. Events have none.
            if any(name == b"content-length" for name, _ in message["headers"]):
                held.append(message)
            else:
                await send(message)
        else:
            body = message.get("body", b"")
            found = _WRITTEN in body
            if found:
                body = body.replace(_WRITTEN, slot.pop(), 1)
            for start in held:
                headers = _with_length(start["headers"], len(body)) if found else start["headers"]
                await send({**start, "headers": headers})
            held.clear()
            await send({**message, "body": body})

    return watched


def _with_length(headers: Any, length: int) -> list[tuple[bytes, bytes]]:
    others = [(name, value) for name, value in headers if name != b"content-length"]
    return [*others, (b"content-length", str(length).encode())]
