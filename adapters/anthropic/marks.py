"""Foreign signatures in this protocol's slots, with the id of what they belong to.

`thinking` and `redacted_thinking` are the only blocks with a slot that clients send back as it is. So a
call's signature (Gemini signs calls) travels in a `redacted_thinking` block of its own, and the id of a
foreign thought (OpenAI's reasoning items have one) beside its signature. Both stand in the origin of the
wrapped signature: `gemini#toolu_1`, `openai-responses@rs_1`. Where a thought without a signature stands
right before the call, its `signature` takes the call's: some clients drop `redacted_thinking`.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.anthropic.names import PROTOCOL
from adapters.canonical import Part, Signature, Thinking, ToolCall
from adapters.signatures import for_client, from_client

_CALL, _THOUGHT = "#", "@"


def thought_slot(part: Thinking) -> str:
    """What stands in `signature` or `data` for a client; "" where there is no signature."""
    if part.signature is None:
        return ""
    origin = part.signature.origin
    if origin != PROTOCOL and part.id:
        return for_client(Signature(part.signature.value, f"{origin}{_THOUGHT}{part.id}"), PROTOCOL)
    return for_client(part.signature, PROTOCOL)


def call_slot(signature: Signature, call_id: str) -> str:
    """The `data` of the block that carries a call's signature."""
    return for_client(Signature(signature.value, f"{signature.origin}{_CALL}{call_id}"), PROTOCOL)


def read_slot(value: str) -> tuple[Signature | None, str | None]:
    """The signature and the id of a thought; a call's signature stays marked for `attach`."""
    if not value:
        return None, None
    signature = from_client(value, PROTOCOL)
    origin, mark, thought_id = signature.origin.partition(_THOUGHT)
    if not mark or _CALL in origin:
        return signature, None
    return Signature(signature.value, origin), thought_id


def attach(parts: list[Part]) -> list[Part]:
    """Give calls back the signatures that travelled beside them."""
    marked: dict[str, Signature] = {}
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, Thinking) and part.signature and _CALL in part.signature.origin:
            origin, _, call_id = part.signature.origin.partition(_CALL)
            marked[call_id] = Signature(part.signature.value, origin)
            if not part.redacted:
                kept.append(replace(part, signature=None))
        else:
            kept.append(part)
    if not marked:
        return parts
    return [
        replace(part, signature=marked[part.id]) if isinstance(part, ToolCall) and part.id in marked else part
        for part in kept
    ]
