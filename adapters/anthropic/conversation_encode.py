"""The conversation of a ChatRequest as `system` and `messages` for Anthropic's API.

https://platform.claude.com/docs/en/build-with-claude/working-with-messages,
…/mid-conversation-system-messages
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.anthropic.abilities import takes_prefill, takes_system_turns
from adapters.anthropic.content_encode import Block, encode_parts
from adapters.anthropic.names import PROTOCOL, fields, own
from adapters.canonical import ChatRequest, Message, Part, Text
from adapters.history import CONTINUED, HistoryRules, leading_system, merged, normalise
from adapters.losses import Losses
from adapters.models import base_name

_RULES = HistoryRules(results="user", merge_roles=True, drop_blank_text=True, user_first=True)


def encode_system(
    body: dict[str, Any], request: ChatRequest, model: str, losses: Losses
) -> tuple[Message, ...]:
    """Fill in `system`; the other messages are given back."""
    written = "_own" in own(request.extensions)
    keep = written and _takes_system_turns(request, model)
    head, turns = ((), request.messages) if keep else leading_system(request.messages)
    parts: list[tuple[str, Part]] = [(f"system[{at}]", part) for at, part in enumerate(request.instructions)]
    for index, message in enumerate(head):
        place = message.place or f"messages[{index}]"
        losses.foreign(message.extensions, PROTOCOL, place)
        if message.name is not None:
            losses.add("name", f"{place}.name", "messages have no name")
        parts += ((place, part) for part in message.parts)
    blocks = [block for where, part in parts if (block := _system_block(part, where, losses)) is not None]
    if blocks:
        plain = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
        as_text = plain and own(request.extensions).get("_system", "string" if not written else None)
        body["system"] = blocks[0]["text"] if as_text else blocks
    return turns


def _system_block(part: Part, where: str, losses: Losses) -> Block | None:
    where = part.place or where
    if not isinstance(part, Text):
        kind = f"media.{part.kind}" if part.tag == "media" else part.tag
        losses.add(kind, where, "the system prompt consists of text")
        return None
    losses.foreign(part.extensions, PROTOCOL, where)
    if not part.text.strip():
        return None
    return {"type": "text", "text": part.text, **fields(part.extensions)}


def encode_messages(
    turns: Sequence[Message], request: ChatRequest, model: str, losses: Losses
) -> list[dict[str, Any]]:
    offset = len(request.messages) - len(turns)
    for index, message in enumerate(turns, offset):
        place = message.place or f"messages[{index}]"
        losses.foreign(message.extensions, PROTOCOL, place)
        if message.name is not None:
            losses.add("name", f"{place}.name", "messages have no name")
    ordered, repairs = normalise(turns, _RULES)
    losses.extend(repairs)
    written = "_own" in own(request.extensions)
    keeps = written and _takes_system_turns(request, model)
    if not keeps and any(message.role in ("system", "developer") for message in ordered):
        ordered = _with_system_turns(ordered, takes_system_turns(model), losses)
    out: list[dict[str, Any]] = []
    for index, message in enumerate(ordered):
        blocks = encode_parts(
            message.parts, message.role, f"{message.place or f'messages[{index}]'}.content", losses
        )
        if blocks:
            _append(_message(message, blocks), out)
    _strip_prefill(out, losses)
    if out and out[-1]["role"] == "assistant" and not (written or takes_prefill(model)):
        losses.add(
            "history.prefill", f"messages[{len(out) - 1}]", "the model does not continue its own words"
        )
        out.append({"role": "user", "content": CONTINUED})
    if not out or out[0]["role"] == "assistant":
        out.insert(0, {"role": "user", "content": "(empty)"})
    return out


def _append(turn: dict[str, Any], out: list[dict[str, Any]]) -> None:
    """Where all that stood between was left out, two turns of one role meet: they become one."""
    if not out or out[-1]["role"] != turn["role"] or turn["role"] == "system":
        out.append(turn)
        return
    before = out[-1]
    out[-1] = {**before, **turn, "content": [*_blocks(before["content"]), *_blocks(turn["content"])]}


def _blocks(content: list[Block] | str) -> list[Block]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _strip_prefill(turns: list[dict[str, Any]], losses: Losses) -> None:
    """The last turn of the assistant must not end in whitespace. Its last part may have been left out."""
    if not turns or turns[-1]["role"] != "assistant":
        return
    content = turns[-1]["content"]
    last = turns[-1] if isinstance(content, str) else content[-1]
    key = "content" if isinstance(content, str) else "text"
    if isinstance(last.get(key), str) and last[key] != (stripped := last[key].rstrip()):
        last[key] = stripped
        where = f"messages[{len(turns) - 1}]"
        losses.add("history.trailing_whitespace", where, "a last turn of the assistant must not end in it")


def _message(message: Message, blocks: list[Block]) -> dict[str, Any]:
    content: list[Block] | str = blocks
    notes = own(message.extensions)
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and "_list" not in notes:
        content = blocks[0]["text"]
    role = "system" if message.role == "developer" else message.role
    return {"role": role, "content": content, **fields(message.extensions)}


def _with_system_turns(messages: Sequence[Message], takes: bool, losses: Losses) -> tuple[Message, ...]:
    """System messages stay where the model takes them: after a user's turn, before the assistant's."""
    keep = [takes and _is_in_place(messages, index) for index in range(len(messages))]
    out: list[Message] = []
    for message, kept in zip(messages, keep, strict=True):
        if kept or message.role not in ("system", "developer"):
            out.append(message)
        else:
            told, repairs = normalise((message,), HistoryRules(system_as_user=True))
            losses.extend(repairs)
            out += told
    return tuple(merged(out))


def _takes_system_turns(request: ChatRequest, model: str) -> bool:
    """A client that asks for this very model in its own protocol knows what it takes."""
    return base_name(request.model) == base_name(model) or takes_system_turns(model)


def _is_in_place(messages: Sequence[Message], index: int) -> bool:
    if index == 0 or messages[index - 1].role != "user":
        return False
    return index + 1 == len(messages) or messages[index + 1].role == "assistant"
