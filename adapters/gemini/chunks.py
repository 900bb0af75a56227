"""A turn of the model that came as a stream, put together again.

Google's SDKs keep every chunk of a stream as a content of its own and send them all back: what was one
text is many, and the signature of a thought stands behind it in an empty part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adapters.assemble import merge_extensions
from adapters.canonical import Message, Part, Text, Thinking, ToolCall
from adapters.gemini.carry import PROTOCOL


def joined(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The same conversation with the model's contents in a row as one message each."""
    out: list[Message] = []
    for message in messages:
        if message.role != "assistant":
            out.append(message)
            continue
        continues = bool(out) and out[-1].role == "assistant"
        parts = list(out[-1].parts) if continues else []
        for at, part in enumerate(message.parts):
            _add(parts, part, boundary=continues and at == 0)
        if continues:
            extensions = merge_extensions(out[-1].extensions, message.extensions)
            out[-1] = replace(out[-1], parts=tuple(parts), extensions=extensions)
        else:
            out.append(message if tuple(parts) == message.parts else replace(message, parts=tuple(parts)))
    return tuple(out)


def _add(parts: list[Part], part: Part, *, boundary: bool) -> None:
    """Add a part to those of its turn. `boundary`: it is the first of a further content."""
    last = parts[-1] if parts else None
    match last, part:
        case _, Text(text="", extensions=extensions) if parts and not extensions:
            pass  # the last chunk of a stream has one
        case Text(), Text() if boundary and not (last.extensions or part.extensions):
            parts[-1] = replace(last, text=last.text + part.text)
        case Thinking(), Thinking() if _ends(last, part) or (boundary and _is_open(last) and _is_open(part)):
            parts[-1] = replace(part, text=last.text + part.text)
        case _, Thinking() if _is_carried(part):
            _insert(parts, part)
        case _:
            parts.append(part)


def _is_open(part: Thinking) -> bool:
    return part.signature is None and set(part.extensions.get(PROTOCOL, {})) <= {"_unsigned"}


def _ends(last: Thinking, part: Thinking) -> bool:
    """Whether `part` is the foreign signature of the thought before it."""
    return (
        _is_open(last) and not part.text and part.signature is not None and part.signature.origin != PROTOCOL
    )


def _is_carried(part: Thinking) -> bool:
    return bool(part.extensions.get(PROTOCOL, {}).get("_carried"))


def _insert(parts: list[Part], carried: Thinking) -> None:
    """Thinking that a call brought: where it stood, before the words of its step, unless it is there."""
    if any(isinstance(part, Thinking) and part.signature == carried.signature for part in parts):
        return
    step = next((at for at in range(len(parts), 0, -1) if isinstance(parts[at - 1], ToolCall)), 0)
    while step < len(parts) and isinstance(parts[step], Thinking):
        step += 1
    parts.insert(step, carried)
