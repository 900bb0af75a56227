"""Signatures in foreign hands: how a maker's proof travels through another protocol and back.

A client that speaks protocol A may talk to a target of protocol B. B's signatures have to survive in A's
own signature slot, and must never be taken for A's. So they are wrapped with their origin when they
leave towards the client, and unwrapped when the client sends them back. The wrapper is standard
base64 (Gemini's SDK decodes its field as bytes).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import urlsplit

from adapters.canonical import ChatRequest, Message, Part, Signature, Thinking, ToolCall

_MARK = b"hub-sig/1\x00\x00\x00"  # 12 bytes: a fixed prefix of 16 characters in base64
_PREFIX = base64.b64encode(_MARK).decode()

SIGN = _PREFIX.encode()
"""A body with a wrapped signature has these bytes."""

_PROVIDERS = (
    "api.anthropic.com",
    "api.openai.com",
    "*.googleapis.com",
    "*.amazonaws.com",
    "*.azure.com",
    "openrouter.ai",
    "api.deepseek.com",
    "api.mistral.ai",
    "api.x.ai",
    "api.groq.com",
    "ollama.com",
)
"""Hosts of providers, which are no hubs: a wrapper is no signature to them, and refused."""


def for_client(signature: Signature, protocol: str) -> str:
    """The text for a signature slot of `protocol`: raw if it is its own, else wrapped.

    Its own is wrapped too where it is a wrapper itself: it came from another hub, which wants it back.
    """
    if signature.origin == protocol and not signature.value.startswith(_PREFIX):
        return signature.value
    payload = f"{signature.origin}\x00{signature.value}".encode("utf-8", "surrogatepass")
    return base64.b64encode(_MARK + payload).decode()


def named(signature: Signature, maker: str) -> str | None:
    """What `maker` signed, where an upstream of another protocol told it under that maker's name.

    Such a signature is the upstream's with the maker's wrapped in it (`openai_chat` reads them so).
    None where it is another's, or one that a hub wrapped.
    """
    inner = from_client(signature.value, signature.origin)
    if inner.origin != maker or inner.value.startswith(_PREFIX):
        return None
    return inner.value


def from_client(value: str, protocol: str) -> Signature:
    """What stands in a signature slot of a client that speaks `protocol`."""
    if value.startswith(_PREFIX):
        try:
            payload = base64.b64decode(value, validate=True)[len(_MARK) :]
            origin, separator, raw = payload.partition(b"\x00")
            if separator:
                return Signature(*(part.decode("utf-8", "surrogatepass") for part in (raw, origin)))
        except (binascii.Error, UnicodeDecodeError):
            pass
    return Signature(value, protocol)


# ---------------------------------------------------------------- towards a provider


@lru_cache(maxsize=512)
def knows_no_wrapper(base_url: str) -> bool:
    """Whether a provider answers there. Elsewhere may be a hub, which wants its wrappers back."""
    host = urlsplit(base_url).hostname or ""
    return any(fnmatchcase(host, pattern) for pattern in _PROVIDERS)


def bare(request: ChatRequest) -> ChatRequest:
    """The request with each signature as its maker gave it, however many hubs have wrapped it.

    Sessions move: what came through a hub may go to a provider itself in the next turn. Its encoder gives
    the maker its own back, and reports the others as what only their makers can read.
    """
    return replace(request, messages=tuple(_bare_message(message) for message in request.messages))


def _bare_message(message: Message) -> Message:
    parts = tuple(_bare_part(part) for part in message.parts)
    return message if parts == message.parts else replace(message, parts=parts)


def _bare_part(part: Part) -> Part:
    if not isinstance(part, Thinking | ToolCall) or part.signature is None:
        return part
    signature = part.signature
    while signature.value.startswith(_PREFIX):
        inner = from_client(signature.value, signature.origin)
        if inner == signature:  # it begins like one, and is none
            return part
        signature = inner
    return part if signature is part.signature else replace(part, signature=signature)
