"""Signatures in foreign hands: how a maker's proof travels through another protocol and back.

A client that speaks protocol A may talk to a target of protocol B. B's signatures have to survive in A's
own signature slot, and must never be taken for A's. So they are wrapped with their origin when they
leave towards the client, and unwrapped when the client sends them back. The wrapper is standard
base64 (Gemini's SDK decodes its field as bytes).
"""

from __future__ import annotations

import base64
import binascii

from adapters.canonical import Signature

_MARK = b"hub-sig/1\x00\x00\x00"  # 12 bytes: a fixed prefix of 16 characters in base64
_PREFIX = base64.b64encode(_MARK).decode()


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
