"""Calls get ids that the conversation does not have yet; good ids stay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.call_ids import FreshIds, FreshIdsDecoder
from adapters.canonical import (
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Message,
    PartStart,
    StreamEvent,
    Text,
    ToolCall,
    ToolResult,
)
from adapters.replay import replay

IDS = st.sampled_from(["", "call_0", "call_1", "call_stem_0", "other"])


def request(*ids: str) -> ChatRequest:
    calls = tuple(ToolCall(call_id, "f") for call_id in ids)
    results = tuple(ToolResult(call_id) for call_id in ids)
    return ChatRequest("m", (Message("assistant", calls), Message("tool", results)))


def answer(*ids: str) -> ChatResponse:
    parts = (Text("a"), *(ToolCall(call_id, "f", "{}") for call_id in ids))
    return ChatResponse("x", "m", (Choice(parts, FinishReason("tool_calls")),))


def ids_of(response: ChatResponse) -> list[str]:
    return [part.id for part in response.choices[0].parts if isinstance(part, ToolCall)]


def test_new_ids_stay() -> None:
    assert ids_of(FreshIds(request("a"), "stem").response(answer("b", "c"))) == ["b", "c"]


def test_ids_of_the_conversation_repeated_ones_and_empty_ones_are_replaced() -> None:
    fresh = FreshIds(request("call_0"), "stem").response(answer("call_0", "b", "b", ""))
    assert ids_of(fresh) == ["call_stem_0", "b", "call_stem_1", "call_stem_2"]


@given(st.lists(IDS, max_size=4), st.lists(IDS, max_size=5))
def test_ids_are_unique_and_the_same_in_a_stream(before: list[str], given_ids: list[str]) -> None:
    class Decoder:
        def feed(self, data: bytes) -> list[StreamEvent]:
            return replay(answer(*given_ids))

        def close(self) -> list[StreamEvent]:
            return []

    whole = ids_of(FreshIds(request(*before), "stem").response(answer(*given_ids)))
    assert len({*whole}) == len(given_ids)
    assert not {*whole} & {*before}
    events = FreshIdsDecoder(Decoder(), FreshIds(request(*before), "stem")).feed(b"")
    streamed = [
        event.part.id for event in events if isinstance(event, PartStart) and isinstance(event.part, ToolCall)
    ]
    assert streamed == whole
