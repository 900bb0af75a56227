"""Signatures and foreign reasoning in Gemini's only slot for them, `thoughtSignature`.

A thought part of the client carries the signature of its own thinking. Clients such as Gemini CLI,
however, send thought parts never back, only the signatures of function calls. So the thinking of
another maker that stands before a call travels in the call's signature too, whole, and is
taken out where the thought part itself did not come back.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

from adapters.canonical import Signature, Thinking
from adapters.jsontext import dump, load_object
from adapters.signatures import for_client, from_client, named

PROTOCOL = "gemini"

SKIP = "skip_thought_signature_validator"
"""Google's documented stand-in for a call that has no signature, made by another model or by hand.
https://ai.google.dev/gemini-api/docs/thought-signatures#faqs"""

_STAND_INS = frozenset(
    form
    for word in (SKIP, "context_engineering_is_the_way_to_go")
    for form in (word, base64.b64encode(word.encode()).decode())
)

_ONE = "#thinking"
_SEVERAL = "#turn"


def is_stand_in(value: str) -> bool:
    """Whether a signature is none, but one of Google's stand-ins."""
    return value.replace("-", "+").replace("_", "/") in _STAND_INS or value in _STAND_INS


def to_client(signature: Signature) -> str:
    """A signature for `thoughtSignature`."""
    return for_client(signature, PROTOCOL)


def to_upstream(signature: Signature) -> str | None:
    """Gemini's own signature of a call, also where it was told in OpenAI's protocol; else None."""
    if signature.origin == PROTOCOL:
        return signature.value
    return named(signature, PROTOCOL) if signature.origin == "openai" else None


def thinking_to_client(thinking: Thinking) -> str | None:
    """The signature of a thought part: with what the part itself cannot say."""
    signature = thinking.signature
    if signature is None:
        return None
    if signature.origin == PROTOCOL or not (thinking.redacted or thinking.id):
        return to_client(signature)
    return to_client(Signature(_packed(replace(thinking, text="")), signature.origin + _ONE))


def turn_to_client(thinkings: Sequence[Thinking]) -> str | None:
    """The signature of a call before which other makers' `thinkings` stand; None if they need none."""
    signed = [one for one in thinkings if one.signature and one.signature.origin != PROTOCOL]
    if not signed:
        return None
    return to_client(Signature(dump({"l": [_packed(one) for one in signed]}), PROTOCOL + _SEVERAL))


def from_thought(value: str, text: str) -> Thinking:
    """A thought part of the client with the signature `value`."""
    signature = _read(value)
    if not signature.origin.endswith(_ONE):
        return Thinking(text, signature)
    carried = _unpacked(signature.value)
    return replace(carried, text=text) if carried else Thinking(text)


def from_call(value: str) -> Signature | tuple[Thinking, ...]:
    """What the signature of a call holds: its own, or the thinking before it."""
    signature = _read(value)
    if signature.origin != PROTOCOL + _SEVERAL:
        return signature
    packed = (load_object(signature.value) or {}).get("l")
    texts = [one for one in packed if isinstance(one, str)] if isinstance(packed, list) else []
    return tuple(thinking for one in texts if (thinking := _unpacked(one)))


def _read(value: str) -> Signature:
    """Some SDKs write the same bytes again in the URL-safe alphabet."""
    standard = value.replace("-", "+").replace("_", "/")
    signature = from_client(standard, PROTOCOL)
    return Signature(value, PROTOCOL) if signature.value == standard else signature


def _packed(thinking: Thinking) -> str:
    signature = thinking.signature
    document = {
        "t": thinking.text,
        "s": signature.value if signature else "",
        "o": signature.origin if signature else "",
    }
    if thinking.redacted:
        document["r"] = "1"
    if thinking.id:
        document["i"] = thinking.id
    return dump(document)


def _unpacked(packed: str) -> Thinking | None:
    document = load_object(packed)
    if not document or not all(isinstance(value, str) for value in document.values()):
        return None
    signature = Signature(document["s"], document["o"]) if document.get("s") and document.get("o") else None
    return Thinking(document.get("t", ""), signature, "r" in document, document.get("i"))
