"""What only its maker can read survives a Gemini client, and goes back to its maker only."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from google.genai import types as genai

from adapters.canonical import (
    ChatResponse,
    Choice,
    FinishReason,
    Message,
    Part,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
from adapters.gemini import CODEC
from adapters.gemini.carry import SKIP
from adapters.replay import replay
from tests.adapters.gemini.support import chunks_of, decode, reply, said, streamed

HI = said({"text": "hi"})
SIGNED = Thinking("let me see", Signature("RXJzdA==", "anthropic"))
REDACTED = Thinking("", Signature("c2VjcmV0", "anthropic"), redacted=True)
NUMBERED = Thinking("", Signature("gAAAA-_x", "openai-responses"), redacted=True, id="rs_1")
CALL = ToolCall("c1", "f", '{"a":1}')


def sent(*parts: Part) -> list[dict[str, Any]]:
    """The parts that a client gets of an answer."""
    answer = ChatResponse("r", "m", (Choice(parts, FinishReason("stop")),))
    body, _ = CODEC.encode_response(answer, reply())
    genai.GenerateContentResponse.model_validate(body)
    found: list[dict[str, Any]] = body["candidates"][0]["content"]["parts"]
    return found


def returned(parts: list[dict[str, Any]]) -> list[Part]:
    """What the hub reads of them in the next turn."""
    return [plain(part) for part in decode({"contents": [HI, said(*parts, role="model")]}).messages[1].parts]


def plain(part: Part) -> Part:
    """Without notes on spelling."""
    if isinstance(part, Thinking):
        return Thinking(part.text, part.signature, part.redacted, part.id)
    if isinstance(part, ToolCall):
        return ToolCall(part.id, part.name, part.arguments, signature=part.signature)
    return part


def through_the_sdk(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As Google's Python SDK sends them back: bytes in the URL-safe alphabet."""
    content = genai.Content.model_validate({"role": "model", "parts": parts})
    dumped = content.model_dump(mode="json", by_alias=True, exclude_none=True)
    found: list[dict[str, Any]] = dumped["parts"]
    return found


@pytest.mark.parametrize("thinking", [SIGNED, REDACTED, NUMBERED])
@pytest.mark.parametrize("sdk", [False, True])
def test_foreign_thinking_survives(thinking: Thinking, sdk: bool) -> None:
    parts = sent(thinking, Text("so"))
    assert returned(through_the_sdk(parts) if sdk else parts) == [thinking, Text("so")]


def test_foreign_thinking_is_not_taken_for_geminis() -> None:
    signature = sent(SIGNED)[0]["thoughtSignature"]
    assert signature != SIGNED.signature.value  # type: ignore[union-attr]
    assert base64.b64decode(signature, validate=True)


def test_it_survives_clients_that_send_no_thoughts_back() -> None:
    parts = [part for part in sent(SIGNED, REDACTED, Text("I look"), CALL) if not part.get("thought")]
    assert returned(parts) == [SIGNED, REDACTED, Text("I look"), CALL]


def test_it_comes_back_once_where_the_client_sends_both() -> None:
    assert returned(sent(SIGNED, Text("I look"), CALL)) == [SIGNED, Text("I look"), CALL]


def test_each_step_of_a_turn_keeps_its_own_thinking() -> None:
    second = Thinking("more", Signature("enZlaQ==", "anthropic"))
    later = ToolCall("c2", "f", "{}")
    parts = [part for part in sent(SIGNED, CALL, second, Text("and"), later) if not part.get("thought")]
    assert returned(parts) == [SIGNED, CALL, second, Text("and"), later]


def test_a_stream_that_comes_back_in_pieces() -> None:
    parts: tuple[Part, ...] = (SIGNED, Text("so it is"), CALL)
    events = replay(ChatResponse("r", "m", (Choice(parts, FinishReason("tool_calls")),)))
    contents = [one["candidates"][0]["content"] for one in chunks_of(streamed(events))]
    assert len(contents) > 3
    messages = decode({"contents": [HI, *contents]}).messages
    assert len(messages) == 2
    assert [plain(part) for part in messages[1].parts] == list(parts)


def test_text_in_pieces_is_one_text() -> None:
    pieces = [said({"text": text}, role="model") for text in ("a", "\n\n", "b", "")]
    assert decode({"contents": [HI, *pieces, HI]}).messages[1] == Message("assistant", (Text("a\n\nb"),))


def test_geminis_own_signatures_stay_as_they_are() -> None:
    own = ToolCall("c1", "f", "{}", signature=Signature("b3duLQ==", "gemini"))
    assert sent(own)[0]["thoughtSignature"] == "b3duLQ=="
    assert returned(sent(own)) == [own]


@pytest.mark.parametrize(
    "stand_in", [SKIP, base64.b64encode(SKIP.encode()).decode(), "context_engineering_is_the_way_to_go"]
)
def test_a_stand_in_is_no_signature(stand_in: str) -> None:
    part = {"functionCall": {"name": "f", "args": {}, "id": "c1"}, "thoughtSignature": stand_in}
    call = decode({"contents": [HI, said(part, role="model")]}).messages[1].parts[0]
    assert isinstance(call, ToolCall)
    assert call.signature is None


@pytest.mark.parametrize(
    "broken", ["aHViLXNpZy8xAAAA", "aHViLXNpZy8xAAAAZ2VtaW5pI3R1cm4AW10=", "aHViLXNpZy8xAAAA!!", ""]
)
def test_broken_wrappers_are_survived(broken: str) -> None:
    part = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": broken}
    thought = {"text": "a", "thought": True, "thoughtSignature": broken}
    parts = decode({"contents": [HI, said(thought, part, role="model")]}).messages[1].parts
    assert isinstance(parts[-1], ToolCall)
