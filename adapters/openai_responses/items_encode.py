"""Messages to the items of a request's `input`.

What this protocol's own clients sent comes back as it was; what others sent becomes the plainest item
that says it. Reasoning goes back only with its own ciphertext: an item that the API cannot
decrypt, and did not store, makes the whole request invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from adapters.canonical import (
    Extensions,
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from adapters.losses import Losses
from adapters.openai_common import CHAT, SHARED_IN_PARTS, hashed_call_id, shared
from adapters.openai_responses import media, notes
from adapters.openai_responses.items_decode import AFTER_CALL
from adapters.signatures import from_client

MAX_CALL_ID = 64
MINTED_REASONING = "rs_hub"
"""How the ids begin of reasoning items that this codec made of another provider's thoughts."""


def encode_items(messages: Sequence[Message], losses: Losses) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for at, message in enumerate(messages):
        _Encoder(items, losses, message.place or f"messages[{at}]").message(message)
    return items


def call_id(value: str) -> str:
    """An id that the API takes: the same in a call and in its result."""
    if 0 < len(value) <= MAX_CALL_ID:
        return value
    return hashed_call_id(value)


class _Encoder:
    """Writes the items of one message."""

    __slots__ = ("items", "losses", "where")

    def __init__(self, items: list[dict[str, Any]], losses: Losses, where: str) -> None:
        self.items, self.losses, self.where = items, losses, where

    def message(self, message: Message) -> None:
        self.losses.foreign(message.extensions, notes.PROTOCOL, self.where)
        if message.name is not None:
            self.losses.add("name", f"{self.where}.name", "messages have no name here")
        bag = notes.own(message.extensions)
        raw = bag.get("_:raw")
        if raw is not None:
            self.items.append(dict(raw))
            return
        content: list[Part] = []
        for part in message.parts:
            match part:
                case Text() | Refusal() | Media():
                    content.append(part)
                    continue
                case Opaque() if part.protocol != notes.PROTOCOL or _is_content(part):
                    content.append(part)
                    continue
            if content:
                self._content(message, content)
                content = []
            self._item(part)
        if content or not message.parts:
            self._content(message, content)

    def _item(self, part: Part) -> None:
        self.where = part.place or self.where
        match part:
            case Thinking():
                self._thinking(part)
            case ToolCall():
                self._call(part)
            case ToolResult():
                self._result(part)
            case Opaque():
                self.items.append(dict(part.value))

    # ------------------------------------------------------------ messages

    def _content(self, message: Message, parts: Sequence[Part]) -> None:
        bag = notes.own(message.extensions)
        if not parts and not bag:
            return
        form = bag.get("_:form", ())
        if "input" in form:
            self.items.append({"role": "user", "content": _text(parts)})
            return
        role = "user" if message.role == "tool" else message.role
        item: dict[str, Any] = {} if "untyped" in form or not bag else {"type": "message"}
        item["role"] = role
        notes.restore(item, bag)
        if not bag:
            parts = _without_empty_text(parts)
            if not parts:
                return
        plain = all(type(part) is Text and not _breakpoint(part.extensions) for part in parts)
        if plain and ("string" in form or (not bag and len(parts) == 1)):
            for part in parts:
                self._foreign(part)
            item["content"] = _text(parts)
        elif role == "assistant":
            item["content"] = self._said(parts)
            if not bag:
                item["type"], item["status"] = "message", "completed"
                item["id"] = f"msg_hub{len(self.items):06d}"
        else:
            item["content"] = self._given(parts)
        if item["content"] or bag:
            self.items.append(item)

    def _said(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        """Content of the assistant's own."""
        out: list[dict[str, Any]] = []
        for part in parts:
            self._foreign(part)
            match part:
                case Text(text, extensions):
                    written: dict[str, Any] = {"type": "output_text", "text": text}
                    bag = notes.own(extensions)
                    if not bag:
                        written["annotations"] = []
                    out.append(notes.restore(written, bag))
                case Refusal(text, extensions):
                    out.append(notes.restore({"type": "refusal", "refusal": text}, notes.own(extensions)))
                case Media():
                    if notes.own(part.extensions).get("_:raw"):
                        out.append(dict(notes.own(part.extensions)["_:raw"]))
                    else:
                        self.losses.add(
                            "media.assistant", self.where, "the assistant's own media cannot be sent back"
                        )
                case Opaque(protocol=notes.PROTOCOL):
                    out.append(dict(part.value))
                case Opaque():
                    self.losses.add(
                        f"item.{part.kind}", part.place or self.where, f"only {part.protocol} has it"
                    )
                    if part.text:
                        out.append({"type": "output_text", "text": part.text, "annotations": []})
        return out

    def _given(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        """Content of the others, and of tool results."""
        out: list[dict[str, Any]] = []
        for part in parts:
            self._foreign(part)
            match part:
                case Text(text, extensions) | Refusal(text, extensions):
                    given = {"type": "input_text", "text": text, **_breakpoint(extensions)}
                    out.append(notes.restore(given, notes.own(extensions)))
                case Media():
                    written = media.encode(part, self.losses, part.place or self.where)
                    if written is not None:
                        out.append(written)
                case Opaque(protocol=notes.PROTOCOL):
                    out.append(dict(part.value))
                case Opaque():
                    self.losses.add(
                        f"item.{part.kind}", part.place or self.where, f"only {part.protocol} has it"
                    )
                    if part.text:
                        out.append({"type": "input_text", "text": part.text})
        return out

    def _foreign(self, part: Part) -> None:
        if isinstance(part, Text | Refusal) and part.extensions:
            _, extensions = shared(part.extensions, CHAT, SHARED_IN_PARTS)
            self.losses.foreign(extensions, notes.PROTOCOL, part.place or self.where)

    # ------------------------------------------------------------ reasoning, calls, results

    def _thinking(self, part: Thinking) -> None:
        self.losses.foreign(part.extensions, notes.PROTOCOL, self.where)
        signature = part.signature
        if signature and signature.origin != notes.PROTOCOL:
            self.losses.thinking(part, self.where, f"reasoning that only {signature.origin} can read")
            return
        raw = notes.own(part.extensions).get("_:raw")
        minted = (part.id or "").startswith(MINTED_REASONING)
        if raw is not None and (signature or not minted):
            self.items.append({**raw, "encrypted_content": signature.value} if signature else dict(raw))
        elif signature:
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            item_id = part.id or f"{MINTED_REASONING}{len(self.items):06d}"
            self.items.append(
                {"type": "reasoning", "id": item_id, "summary": summary, "encrypted_content": signature.value}
            )
        else:
            self.losses.thinking(part, self.where, "reasoning of another provider cannot be sent back")

    def _call(self, part: ToolCall) -> None:
        self.losses.foreign(part.extensions, notes.PROTOCOL, self.where)
        carrier = self._carrier(part.signature) if part.signature else None
        if carrier and not carrier[1]:
            self.items.append(carrier[0])
        self.items.append(self._call_item(part))
        if carrier and carrier[1]:
            self.items.append(carrier[0])

    def _carrier(self, signature: Signature) -> tuple[dict[str, Any], bool] | None:
        """The item that brought a call's signature, from an upstream that is a hub; whether it came after."""
        if signature.origin != notes.PROTOCOL:
            self.losses.add(
                "thinking.signature", self.where, f"a signature that only {signature.origin} can read"
            )
            return None
        item_id = f"{MINTED_REASONING}{len(self.items):06d}"
        item = {
            "type": "reasoning",
            "id": item_id,
            "summary": [],
            "encrypted_content": signature.value,
        }
        return item, from_client(signature.value, notes.PROTOCOL).origin.endswith(AFTER_CALL)

    def _call_item(self, part: ToolCall) -> dict[str, Any]:
        bag = notes.own(part.extensions)
        raw = bag.get("_:raw")
        if raw is not None:
            return dict(raw)
        item: dict[str, Any] = {"call_id": call_id(part.id), "name": part.name}
        if part.kind == "custom":
            item = {"type": "custom_tool_call", **item, "input": part.arguments}
        else:
            arguments = part.arguments if bag or part.arguments.strip() else "{}"
            item = {"type": "function_call", **item, "arguments": arguments}
        if part.namespace is not None:
            item["namespace"] = part.namespace
        return notes.restore(item, bag)

    def _result(self, part: ToolResult) -> None:
        self.losses.foreign(part.extensions, notes.PROTOCOL, self.where)
        bag = notes.own(part.extensions)
        raw = bag.get("_:raw")
        if raw is not None:
            self.items.append(dict(raw))
            return
        if part.is_error:
            self.losses.add("tool_result.is_error", self.where, "results have no error flag here")
        item: dict[str, Any] = {
            "type": "custom_tool_call_output" if part.kind == "custom" else "function_call_output",
            "call_id": call_id(part.call_id),
        }
        if part.name is not None and bag:
            item["name"] = part.name
        only_text = all(type(one) is Text for one in part.content)
        if only_text and ("string" in bag.get("_:form", ()) or (not bag and len(part.content) < 2)):
            for one in part.content:
                self._foreign(one)
            item["output"] = _text(part.content)
        else:
            item["output"] = self._given(part.content)
        self.items.append(notes.restore(item, bag))


def _is_content(part: Opaque) -> bool:
    """Whether it is a part of a message or of a result, and not an item."""
    return part.kind.startswith("input_") or part.kind == "computer_screenshot"


def _breakpoint(extensions: Extensions) -> dict[str, Any]:
    """The cache breakpoint of a client of Chat Completions."""
    return shared(extensions, CHAT, SHARED_IN_PARTS)[0] if extensions else {}


def _text(parts: Iterable[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


def _without_empty_text(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not (type(part) is Text and not part.text)]
