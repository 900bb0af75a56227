"""What browsers need beside permission: the answers to their questions before a request, and the headers
without which a page may not read an answer. https://fetch.spec.whatwg.org/#http-cors-protocol

Only for origins that `hub.auth` has accepted.
"""

from __future__ import annotations

from starlette.types import Message, Scope, Send

ALLOWED_METHODS = b"GET, POST, DELETE, OPTIONS, HEAD"
READABLE_HEADERS = (
    b"mcp-session-id, mcp-protocol-version, x-hub-group, x-hub-target, x-hub-losses, retry-after, request-id"
)
SECONDS_TO_REMEMBER = b"600"

Headers = list[tuple[bytes, bytes]]


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks what it may send. Such a request never carries a credential."""
    return scope["type"] == "http" and scope["method"] == "OPTIONS" and _asked(scope, b"method") is not None


async def answer_preflight(scope: Scope, origin: bytes, send: Send) -> None:
    """Allow whatever it asks for: the origin has been accepted, and the request itself is checked later."""
    headers: Headers = [
        *_allowing(origin),
        (b"access-control-allow-methods", ALLOWED_METHODS),
        (b"access-control-max-age", SECONDS_TO_REMEMBER),
    ]
    wanted = _asked(scope, b"headers")
    if wanted is not None:
        headers.append((b"access-control-allow-headers", wanted))
    if _asked(scope, b"private-network") == b"true":
        headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def readable_by(origin: bytes, send: Send) -> Send:
    """`send`, with the headers that let a page of `origin` read the answer."""

    async def send_readable(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [header for header in message["headers"] if not header[0].startswith(b"access-control-")]
            exposing = (b"access-control-expose-headers", READABLE_HEADERS)
            message = {**message, "headers": [*kept, *_allowing(origin), exposing]}
        await send(message)

    return send_readable


def _allowing(origin: bytes) -> Headers:
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def _asked(scope: Scope, what: bytes) -> bytes | None:
    wanted = b"access-control-request-" + what
    return next((value for name, value in scope["headers"] if name == wanted), None)
