"""Reasoning in messages and deltas: the slots that OpenAI-compatible providers use for it.

OpenAI's own API has none. In use are `reasoning_content` (DeepSeek, Moonshot, Qwen, vLLM, llama.cpp),
`reasoning` (OpenRouter, Groq, Ollama), OpenRouter's list `reasoning_details`, and Mistral's content chunks
of type `thinking`. Towards a client the hub writes `reasoning_content`, and `reasoning_details` where a
signature has to survive until the next turn: the items have an `index`, without which the OpenAI SDK's
stream accumulator fails.

https://openrouter.ai/docs/guides/best-practices/reasoning-tokens,
https://api-docs.deepseek.com/guides/thinking_mode, https://docs.mistral.ai/capabilities/reasoning
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from adapters.canonical import Extensions, Signature, Thinking
from adapters.openai_chat.content import PROTOCOL, note
from adapters.signatures import for_client, from_client

TEXT_KEYS = ("reasoning_content", "reasoning")
SLOTS = frozenset({*TEXT_KEYS, "reasoning_details"})

ReadSignature = Callable[[str, str], Signature]
"""`from_client` for what a client sends. What an upstream says is its own, whatever it looks like
(`Signature`): a hub wants its wrapper back."""


# ---------------------------------------------------------------- decoding


def decode(message: Mapping[str, Any], read: ReadSignature = from_client) -> list[Thinking]:
    """The thinking that a message carries beside its content.

    Several text keys with the same text are one thought (clients replay both spellings).
    """
    texts = {key: message[key] for key in TEXT_KEYS if isinstance(message.get(key), str) and message[key]}
    text = next(iter(texts.values()), "")
    keys = tuple(key for key in texts if texts[key] == text)
    others = {key: texts[key] for key in texts if key not in keys}
    details = message.get("reasoning_details")
    if isinstance(details, list) and details:
        found = (decode_detail(item, read) for item in merged_details(details))
        parts = [part for part in found if part is not None]
        if parts:
            return _spelled(parts, keys, text)
    return [Thinking(text, extensions=_bag({"_keys": keys, **others}))] if text else []


def _spelled(parts: list[Thinking], keys: tuple[str, ...], text: str) -> list[Thinking]:
    """Note which text keys stood beside the details; text that they lack is put in front."""
    if text and not any(part.text for part in parts):
        parts = [Thinking(text, extensions=_bag({"_keys": keys})), *parts]
    elif keys:
        first = parts[0]
        bag = {**first.extensions.get(PROTOCOL, {}), "_keys": keys}
        parts[0] = Thinking(first.text, first.signature, first.redacted, first.id, _bag(bag))
    return parts


def _bag(own: dict[str, Any]) -> Extensions:
    return {PROTOCOL: own}


def merged_details(details: Sequence[Any]) -> list[dict[str, Any]]:
    """Pieces of one block (same type and index, as streams have them) joined into one."""
    out: list[dict[str, Any]] = []
    for item in details:
        if not isinstance(item, Mapping):
            continue
        last = out[-1] if out else None
        same = last is not None and item.get("index") is not None
        if (
            same
            and last is not None
            and (last.get("type"), last.get("index")) == (item.get("type"), item["index"])
        ):
            for key in ("text", "summary", "data"):
                if isinstance(item.get(key), str):
                    before = last.get(key)
                    last[key] = before + item[key] if isinstance(before, str) else item[key]
            if item.get("signature"):
                last["signature"] = item["signature"]
        else:
            out.append(dict(item))
    return out


def decode_detail(item: Mapping[str, Any], read: ReadSignature = from_client) -> Thinking | None:
    """One item of `reasoning_details`; None for a type that is not known."""
    kind, detail_id = item.get("type"), item.get("id")
    known_id = detail_id if isinstance(detail_id, str) else None
    own = _bag({"_detail": {key: value for key, value in item.items() if key not in _DETAIL_CONTENT}})
    match kind:
        case "reasoning.text" | "reasoning.summary":
            text = item.get("text") if kind == "reasoning.text" else item.get("summary")
            return Thinking(
                text if isinstance(text, str) else "",
                _signature(item.get("signature"), read),
                False,
                known_id,
                own,
            )
        case "reasoning.encrypted":
            return Thinking("", _signature(item.get("data"), read), True, known_id, own)
        case _:
            return None


_DETAIL_CONTENT = frozenset({"text", "summary", "data", "signature"})


def _signature(value: Any, read: ReadSignature) -> Signature | None:
    return read(value, PROTOCOL) if isinstance(value, str) and value else None


def chunk_text(chunk: Mapping[str, Any]) -> str:
    """The text of a Mistral `thinking` content chunk: a list of text chunks, or plain text."""
    inner = chunk.get("thinking")
    if isinstance(inner, str):
        return inner
    if not isinstance(inner, list):
        return ""
    texts = (piece.get("text") for piece in inner if isinstance(piece, Mapping))
    return "".join(text for text in texts if isinstance(text, str))


# ---------------------------------------------------------------- encoding


def joined(parts: Iterable[Thinking]) -> str:
    return "".join(part.text for part in parts)


def details_for_client(parts: Sequence[Thinking]) -> list[dict[str, Any]]:
    """`reasoning_details` for an answer; [] where nothing but text has to survive."""
    if not any(map(must_survive, parts)):
        return []
    return [client_detail(part, index) for index, part in enumerate(parts)]


def must_survive(part: Thinking) -> bool:
    """Whether the client has to send more back than the text."""
    return part.signature is not None or part.redacted or _detail(part) is not None


def client_detail(part: Thinking, index: int) -> dict[str, Any]:
    """One item. Signatures of other makers are wrapped, so that they are told apart next turn."""
    value = for_client(part.signature, PROTOCOL) if part.signature else None
    return _item(part, index, value)


def details_for_upstream(parts: Sequence[Thinking]) -> list[dict[str, Any]]:
    """What OpenRouter gets back: its own items as they were. Foreign signatures stay away."""
    out: list[dict[str, Any]] = []
    for part in parts:
        own = part.signature is not None and part.signature.origin == PROTOCOL
        if not own and (part.signature is not None or part.redacted or _detail(part) is None):
            continue
        out.append(_item(part, len(out), part.signature.value if own and part.signature else None))
    return out


def _item(part: Thinking, index: int, signature: str | None) -> dict[str, Any]:
    detail = _detail(part)
    item: dict[str, Any] = dict(detail) if detail else {"type": "reasoning.text"}
    if not detail and part.redacted:
        item["type"] = "reasoning.encrypted"
    item.setdefault("index", index)
    if part.id is not None:
        item.setdefault("id", part.id)
    if item["type"] == "reasoning.encrypted":
        item["data"] = signature or ""
        return item
    item["summary" if item["type"] == "reasoning.summary" else "text"] = part.text
    if signature is not None:
        item["signature"] = signature
    return item


def _detail(part: Thinking) -> Mapping[str, Any] | None:
    found = note(part.extensions, "_detail")
    return found if isinstance(found, Mapping) else None


def spelled_keys(parts: Sequence[Thinking]) -> tuple[str, ...]:
    """The text keys that the client itself had written; () for thinking from elsewhere."""
    for part in parts:
        keys = note(part.extensions, "_keys")
        if keys:
            return tuple(keys)
    return ()
