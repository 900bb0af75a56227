"""Brings a conversation into the order that a protocol accepts: deterministic, and told.

Providers refuse histories that clients do send: a tool call whose turn was interrupted, a result
whose call was compacted away, results that stand elsewhere than right after their calls, blank
texts. Each repair depends on the messages alone, so the same history gives the same prefix in the
next turn and prompt caches hold. Each is reported as a loss `history.<what>`, except the joining
of neighbours of one role: that says the same in another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from adapters.canonical import Extensions, Message, Part, Refusal, Role, Text, ToolCall, ToolResult
from adapters.losses import Losses

NO_RESULT = "no result: the turn was interrupted"
"""What the synthetic result of an interrupted call says."""

CONTINUED = "(the conversation continues)"
"""The user's words before a conversation that begins with the assistant."""


@dataclass(frozen=True, slots=True)
class HistoryRules:
    """Which order a protocol wants."""

    results: Literal["user", "tool"] = "tool"
    """`user`: the results of a turn are the first parts of the next user message (Anthropic,
    Gemini). `tool`: they stand in messages of role `tool`, before the next user message."""
    merge_roles: bool = False
    """Join neighbours of one role into one message."""
    pair_calls: bool = True
    """Every call has an id of its own and one result, right after the assistant's turn, and no
    result is without a call. An id that is used again gets a suffix, in the call and its result."""
    results_in_call_order: bool = False
    """Results stand in the order of their calls (where they are matched by position)."""
    drop_blank_text: bool = False
    """Leave away text parts of whitespace, and messages that are empty then."""
    strip_last_assistant: bool = False
    """Strip whitespace at the end of a last message of the assistant."""
    user_first: bool = False
    """Put words of the user before a conversation that does not begin with the user."""
    system_as_user: bool = False
    """System and developer messages among the turns become text of the user, within <system> tags."""


def normalise(messages: Sequence[Message], rules: HistoryRules) -> tuple[tuple[Message, ...], Losses]:
    """The messages in the order that `rules` ask for, and the repairs that it took.

    Tool results are expected in messages of role `user` or `tool`, as the model says. Messages
    that need no repair come back as they are. Names and extensions of messages that are joined or
    split may go: report those that the target cannot say before, from the original messages.
    """
    losses = Losses()
    turns: list[Message] = list(messages)
    if rules.pair_calls:
        turns = _pair(_unique_ids(turns, losses), rules, losses)
    turns = [_placed(turn, rules) for turn in turns]
    if rules.system_as_user:
        turns = [_as_user(turn, index, losses) for index, turn in enumerate(turns)]
    if rules.drop_blank_text:
        turns = _without_blanks(turns, losses)
    if rules.user_first and turns and _first_role(turns) == "assistant":
        losses.add(
            "history.user_first", turns[0].place or "messages[0]", "a conversation has to begin with the user"
        )
        turns.insert(0, Message("user", (Text(CONTINUED),)))
    if rules.merge_roles:
        turns = merged(turns)
    if rules.results == "user":
        turns = [_results_first(turn) for turn in turns]
    if rules.strip_last_assistant:
        turns = _stripped(turns, losses)
    return tuple(turns), losses


def leading_system(messages: Sequence[Message]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """The system and developer messages that stand before the first turn, and all others."""
    for index, message in enumerate(messages):
        if message.role not in ("system", "developer"):
            return tuple(messages[:index]), tuple(messages[index:])
    return tuple(messages), ()


def merged(messages: Iterable[Message]) -> list[Message]:
    """Neighbours of one role as one message; the first one's name stays."""
    out: list[Message] = []
    for message in messages:
        if out and out[-1].role == message.role:
            out[-1] = _join(out[-1], message)
        else:
            out.append(message)
    return out


def _join(first: Message, second: Message) -> Message:
    extensions = first.extensions
    if second.extensions:
        extensions = _union(first.extensions, second.extensions)
    return replace(first, parts=first.parts + second.parts, extensions=extensions)


def _union(first: Extensions, second: Extensions) -> Extensions:
    return {owner: {**first.get(owner, {}), **second.get(owner, {})} for owner in (*first, *second)}


def _first_role(turns: Sequence[Message]) -> Role | None:
    return next((turn.role for turn in turns if turn.role not in ("system", "developer")), None)


# ---------------------------------------------------------------- ids


def _unique_ids(turns: list[Message], losses: Losses) -> list[Message]:
    """Number the repetitions of a call id: `x`, `x_2`, `x_3`.

    A result belongs to the latest turn that has a call of its id, and there to the first one that
    has no result yet.
    """
    ids = [part.id for turn in turns for part in turn.parts if isinstance(part, ToolCall)]
    if len(set(ids)) == len(ids):
        return turns
    taken = set(ids)
    used: dict[str, int] = {}
    open_calls: dict[str, tuple[int, list[str]]] = {}
    out = []
    previous: Role | None = None
    number = 0
    for index, turn in enumerate(turns):
        if turn.role == "assistant" and previous != "assistant":
            number += 1
        previous = turn.role
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolCall):
                new = _numbered(part.id, used, taken)
                if new != part.id:
                    where = part.place or f"messages[{index}]"
                    losses.add("history.call_id", where, f"the call id {part.id!r} was used before")
                at, waiting = open_calls.get(part.id, (number, []))
                open_calls[part.id] = (number, [*waiting, new] if at == number else [new])
                part = part if new == part.id else replace(part, id=new)
            elif isinstance(part, ToolResult):
                _, waiting = open_calls.get(part.call_id, (0, []))
                if waiting:
                    part = replace(part, call_id=waiting.pop(0))
            parts.append(part)
        out.append(replace(turn, parts=tuple(parts)))
    return out


def _numbered(call_id: str, used: dict[str, int], taken: set[str]) -> str:
    count = used[call_id] = used.get(call_id, 0) + 1
    if count == 1:
        return call_id
    new = f"{call_id}_{count}"
    while new in taken:
        count = used[call_id] = count + 1
        new = f"{call_id}_{count}"
    taken.add(new)
    return new


# ---------------------------------------------------------------- calls and results

Position = tuple[int, int]
"""Index of the message, index of the part."""


def _pair(turns: list[Message], rules: HistoryRules, losses: Losses) -> list[Message]:
    """Put every result right after the turn of its call; mend what is left over."""
    owner, orphans = _owners(turns)
    out: list[Message] = []
    start = 0
    while start < len(turns):
        end = _run_end(turns, start)
        block_end = _block_end(turns, end)
        run, block = turns[start:end], turns[end:block_end]
        calls = [call for turn in run for call in _calls(turn)]
        if calls and any(_calls(turn) for turn in run[:-1]):
            run = merged(run)
        out.extend(run)
        head = _head(block, end)
        results = [owner[call.id] for call in calls if call.id in owner]
        placed: set[Position] = set()
        if calls and _in_place(results, calls, head, rules) and _splits(block, results, end, rules):
            placed = set(results)
        elif calls:
            _report(turns, calls, owner, head, end, losses)
            out.append(Message("tool", _answers(turns, calls, owner, rules)))
        for index, turn in enumerate(block, end):
            out.extend(_remaining(turn, index, placed, orphans, losses))
        start = block_end
    return out


def _owners(turns: Sequence[Message]) -> tuple[dict[str, Position], set[Position]]:
    """Call id -> where its result stands; and where results without a call stand."""
    seen: set[str] = set()
    owner: dict[str, Position] = {}
    orphans: set[Position] = set()
    for index, turn in enumerate(turns):
        for position, part in enumerate(turn.parts):
            if isinstance(part, ToolCall):
                seen.add(part.id)
            elif isinstance(part, ToolResult):
                if part.call_id in seen and part.call_id not in owner:
                    owner[part.call_id] = (index, position)
                else:
                    orphans.add((index, position))
    return owner, orphans


def _calls(turn: Message) -> list[ToolCall]:
    return [part for part in turn.parts if isinstance(part, ToolCall)]


def _run_end(turns: Sequence[Message], start: int) -> int:
    """The end of the assistant's turn that begins at `start` (`start` itself if none does)."""
    end = start
    while end < len(turns) and turns[end].role == "assistant":
        end += 1
    return end


def _block_end(turns: Sequence[Message], start: int) -> int:
    """The end of what stands between two turns of the assistant."""
    end = start
    while end < len(turns) and turns[end].role != "assistant":
        end += 1
    return end


def _head(block: Sequence[Message], start: int) -> list[Position]:
    """The results with which a block begins."""
    found: list[Position] = []
    for index, turn in enumerate(block, start):
        if not turn.parts:
            return found
        for position, part in enumerate(turn.parts):
            if not isinstance(part, ToolResult):
                return found
            found.append((index, position))
    return found


def _in_place(
    results: Sequence[Position], calls: Sequence[ToolCall], head: Sequence[Position], rules: HistoryRules
) -> bool:
    """Does every call have its result at the head of the block?"""
    found = head[: len(calls)]
    if len(results) < len(calls) or len(found) < len(calls):
        return False
    return found == list(results) if rules.results_in_call_order else set(found) == set(results)


def _splits(block: Sequence[Message], results: Sequence[Position], start: int, rules: HistoryRules) -> bool:
    """May the results stay in their messages? Not beside other parts, where they need role `tool`."""
    if rules.results == "user":
        return True
    turns = {index for index, _ in results}
    return all(isinstance(part, ToolResult) for index in turns for part in block[index - start].parts)


def _answers(
    turns: Sequence[Message], calls: Sequence[ToolCall], owner: dict[str, Position], rules: HistoryRules
) -> tuple[Part, ...]:
    """The results of a turn's calls, in the history's order unless the rules want the calls'."""
    order = list(calls)
    if not rules.results_in_call_order:
        order.sort(key=lambda call: owner.get(call.id, (len(turns), 0)))
    return tuple(_result(turns, call, owner) for call in order)


def _result(turns: Sequence[Message], call: ToolCall, owner: dict[str, Position]) -> Part:
    if call.id in owner:
        index, position = owner[call.id]
        return turns[index].parts[position]
    return ToolResult(call.id, (Text(NO_RESULT),), name=call.name, is_error=True, kind=call.kind)


def _report(
    turns: Sequence[Message],
    calls: Sequence[ToolCall],
    owner: dict[str, Position],
    head: Sequence[Position],
    end: int,
    losses: Losses,
) -> None:
    """A result is moved if something else than results stands between it and its call's turn."""
    for call in calls:
        if call.id not in owner:
            losses.add(
                "history.missing_result",
                call.place or f"messages[{end - 1}]",
                f"call {call.id!r} has no result",
            )
        elif owner[call.id] not in head:
            index, position = owner[call.id]
            where = turns[index].parts[position].place or f"messages[{index}]"
            losses.add("history.moved_result", where, f"the result of {call.id!r} moved up to its call")


def _remaining(
    turn: Message, index: int, placed: set[Position], orphans: set[Position], losses: Losses
) -> list[Message]:
    """What a message has besides results that moved; results without a call as text of the user."""
    if not any(isinstance(part, ToolResult) for part in turn.parts):
        return [turn]
    kept: list[Part] = []
    whole = True
    for position, part in enumerate(turn.parts):
        if not isinstance(part, ToolResult) or (index, position) in placed:
            kept.append(part)
            continue
        whole = False
        if (index, position) in orphans:
            losses.add(
                "history.orphaned_result",
                part.place or f"messages[{index}]",
                f"there is no call {part.call_id!r}",
            )
            kept.extend((Text(f"Result of the tool call {part.call_id}:"), *part.content))
    if whole:
        return [turn]
    results = tuple(part for part in kept if isinstance(part, ToolResult))
    others = tuple(part for part in kept if not isinstance(part, ToolResult))
    out = [replace(turn, role="tool", parts=results)] if results else []
    if not others:
        return out
    return [*out, Message("user", others) if turn.role == "tool" else replace(turn, parts=others)]


def _placed(turn: Message, rules: HistoryRules) -> Message:
    """Give messages of results the role that the rules want."""
    if turn.role == "tool" and rules.results == "user":
        return replace(turn, role="user")
    results_only = bool(turn.parts) and all(isinstance(part, ToolResult) for part in turn.parts)
    if turn.role == "user" and rules.results == "tool" and results_only:
        return replace(turn, role="tool")
    return turn


# ---------------------------------------------------------------- single turns


def _as_user(turn: Message, index: int, losses: Losses) -> Message:
    if turn.role not in ("system", "developer"):
        return turn
    losses.add(
        "history.system_as_user",
        turn.place or f"messages[{index}]",
        "system text stands only before the turns",
    )
    parts = tuple(_marked(part) if isinstance(part, Text) else part for part in turn.parts)
    return replace(turn, role="user", parts=parts)


def _marked(part: Text) -> Text:
    """The model should still see that these are not the user's words."""
    return replace(part, text=f"<system>\n{part.text}\n</system>") if part.text.strip() else part


def _results_first(turn: Message) -> Message:
    if turn.role != "user":
        return turn
    results = tuple(part for part in turn.parts if isinstance(part, ToolResult))
    if not results or turn.parts[: len(results)] == results:
        return turn
    return replace(turn, parts=results + tuple(p for p in turn.parts if not isinstance(p, ToolResult)))


def _blank(part: Part) -> bool:
    return isinstance(part, Text | Refusal) and not part.text.strip()


def _without_blanks(turns: Sequence[Message], losses: Losses) -> list[Message]:
    """Blank texts go, within tool results too; so do messages that are empty then."""
    out: list[Message] = []
    for index, turn in enumerate(turns):
        parts = tuple(_result_without_blanks(part) for part in turn.parts if not _blank(part))
        if not parts:
            losses.add(
                "history.empty_message", turn.place or f"messages[{index}]", "a message without content"
            )
            continue
        if len(parts) < len(turn.parts):
            losses.add(
                "history.blank_text", turn.place or f"messages[{index}]", "a text of nothing but whitespace"
            )
        changed = len(parts) < len(turn.parts) or any(
            a is not b for a, b in zip(parts, turn.parts, strict=True)
        )
        out.append(replace(turn, parts=parts) if changed else turn)
    return out


def _result_without_blanks(part: Part) -> Part:
    """An empty result is valid, one with a blank text is not: nothing is lost by leaving it away."""
    if isinstance(part, ToolResult) and any(_blank(inner) for inner in part.content):
        return replace(part, content=tuple(inner for inner in part.content if not _blank(inner)))
    return part


def _stripped(turns: list[Message], losses: Losses) -> list[Message]:
    if not turns or turns[-1].role != "assistant" or not turns[-1].parts:
        return turns
    *before, last = turns[-1].parts
    if not isinstance(last, Text | Refusal) or last.text == (text := last.text.rstrip()):
        return turns
    where = last.place or f"messages[{len(turns) - 1}]"
    losses.add(
        "history.trailing_whitespace", where, "a last turn of the assistant must not end in whitespace"
    )
    parts = (*before, replace(last, text=text)) if text else tuple(before)
    return [*turns[:-1], replace(turns[-1], parts=parts)] if parts else turns[:-1]
