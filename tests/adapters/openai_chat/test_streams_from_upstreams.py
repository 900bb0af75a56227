"""Streams of many dialects, as events: what they say in common, in the order of the grammar."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.assemble import Assembler
from adapters.canonical import (
    ChatResponse,
    Choice,
    Failure,
    Finish,
    Media,
    Part,
    PartDelta,
    PartStart,
    Refusal,
    Signature,
    StreamEnd,
    StreamEvent,
    StreamStart,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)
from adapters.gemini import carry
from adapters.grammar import check
from adapters.openai_chat import CODEC
from adapters.signatures import from_client
from tests.adapters.openai_chat.samples import PNG

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m"}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {**HEAD, "choices": choices, **more}


def calls(*deltas: dict[str, Any]) -> dict[str, Any]:
    return chunk({"tool_calls": list(deltas)})


def detail(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": f"reasoning.{kind}", "index": 0, **more}


def wire(*chunks: dict[str, Any] | str, done: bool = True) -> bytes:
    lines = [one if isinstance(one, str) else f"data: {json.dumps(one)}\n\n" for one in chunks]
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()


def events(raw: bytes) -> list[StreamEvent]:
    decoder = CODEC.stream_decoder()
    return decoder.feed(raw) + decoder.close()


def assembled(raw: bytes) -> ChatResponse:
    assembler = Assembler()
    assembler.feed(check(events(raw)))
    assert assembler.response is not None
    return assembler.response


def parts(raw: bytes) -> list[Part]:
    return list(answer(raw).parts)


def answer(raw: bytes) -> Choice:
    (choice,) = assembled(raw).choices
    return choice


STOP = chunk({}, "stop")
ROLE = chunk({"role": "assistant", "content": ""})
NAME = {"name": "f", "arguments": ""}

CALLS: dict[str, list[dict[str, Any]]] = {
    "openai": [
        calls({"index": 0, "id": "a", "type": "function", "function": NAME}),
        calls({"index": 0, "function": {"arguments": '{"x":'}}),
        calls({"index": 0, "function": {"arguments": "1}"}}),
        calls({"index": 1, "id": "b", "type": "function", "function": NAME}),
        calls({"index": 1, "function": {"arguments": "{}"}}),
    ],
    "interleaved": [
        calls(
            {"index": 0, "id": "a", "type": "function", "function": NAME},
            {"index": 1, "id": "b", "type": "function", "function": NAME},
        ),
        calls({"index": 0, "function": {"arguments": '{"x":'}}, {"index": 1, "function": {"arguments": "{"}}),
        calls({"index": 1, "function": {"arguments": "}"}}, {"index": 0, "function": {"arguments": "1}"}}),
    ],
    "one piece, no index": [
        calls({"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}),
        calls({"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}),
    ],
    "null index": [
        calls({"index": None, "id": "a", "function": {"name": "f", "arguments": '{"x":'}}),
        calls({"index": None, "id": None, "function": {"name": None, "arguments": "1}"}}),
        calls({"index": None, "id": "b", "function": {"name": "f", "arguments": "{}"}}),
    ],
    "negative index": [
        calls({"index": -1, "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}),
        calls({"index": -1, "id": "b", "function": {"name": "f", "arguments": "{}"}}),
    ],
    "all of index 0": [
        calls({"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}),
        calls({"index": 0, "id": "b", "function": {"name": "f", "arguments": "{}"}}),
    ],
    "id and name on each": [
        calls({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}),
        calls({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":'}}),
        calls({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "1}"}}),
        calls({"index": 1, "id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}),
    ],
    "another id on each": [
        calls({"index": 0, "id": "a", "function": {"name": "f"}}),
        calls({"index": 0, "id": "a2", "function": {"arguments": '{"x":'}}),
        calls({"index": 0, "id": "a3", "function": {"arguments": "1}"}}),
        calls({"index": 1, "id": "b", "function": {"name": "f", "arguments": "{}"}}),
    ],
    "id before the name": [
        calls({"index": 0, "id": "a", "type": "function"}),
        calls({"index": 0, "function": {"name": "f"}}),
        calls({"index": 0, "function": {"arguments": '{"x":1}'}}),
        calls({"index": 1, "id": "b", "function": {"arguments": "{"}}),
        calls({"index": 1, "function": {"name": "f", "arguments": "}"}}),
    ],
    "arguments as an object": [
        calls({"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}),
        calls({"index": 1, "id": "b", "function": {"name": "f", "arguments": {}}}),
    ],
    "index as text": [
        calls(
            {"index": "0", "id": "a", "function": {"name": "f", "arguments": '{"x":'}},
            {"index": "1", "id": "b", "function": {"name": "f", "arguments": "{"}},
        ),
        calls({"index": "0", "function": {"arguments": "1}"}}),
        calls({"index": "1", "function": {"arguments": "}"}}),
    ],
    "index as a float": [
        calls(
            {"index": 0.0, "id": "a", "function": {"name": "f", "arguments": '{"x":'}},
            {"index": 1.0, "id": "b", "function": {"name": "f", "arguments": "{"}},
        ),
        calls(
            {"index": 0.0, "function": {"arguments": "1}"}}, {"index": 1.0, "function": {"arguments": "}"}}
        ),
    ],
    "without a list": [
        chunk({"tool_calls": {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}}),
        chunk({"tool_calls": {"index": 1, "id": "b", "function": {"name": "f", "arguments": "{}"}}}),
    ],
    "without `function`": [
        calls({"index": 0, "id": "a", "name": "f", "arguments": '{"x":1}'}),
        calls({"index": 1, "id": "b", "name": "f", "arguments": "{}"}),
    ],
    "the same id twice": [
        calls({"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}),
        calls({"index": 1, "id": "a", "function": {"name": "f", "arguments": "{}"}}),
    ],
    "a whole message at the end": [
        {
            **HEAD,
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "tool_calls": [
                            {"id": "a", "function": {"name": "f", "arguments": '{"x":1}'}},
                            {"id": "b", "function": {"name": "f", "arguments": "{}"}},
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
        }
    ],
}


@pytest.mark.parametrize("chunks", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_two_calls_in_each_dialect(chunks: list[dict[str, Any]], finish: str) -> None:
    choice = answer(wire(ROLE, *chunks, chunk({}, finish)))
    first, second = choice.parts
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert (first.id, first.name, json.loads(first.arguments)) == ("a", "f", {"x": 1})
    assert (second.name, second.arguments) == ("f", "{}")
    assert second.id not in ("", "a")
    assert choice.finish.unified == "tool_calls"


def test_calls_without_ids_get_new_ones_from_the_answers_id() -> None:
    raw = wire(calls({"function": {"name": "f", "arguments": "{}"}}, {"function": {"name": "g"}}), STOP)
    assert [part.id for part in parts(raw) if isinstance(part, ToolCall)] == [
        "call_chatcmpl-1_0",
        "call_chatcmpl-1_1",
    ]
    assert parts(raw) == parts(raw)


def test_free_text_calls() -> None:
    raw = wire(
        calls({"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": ""}}),
        calls({"index": 0, "custom": {"input": "***"}}),
        chunk({}, "tool_calls"),
    )
    assert parts(raw) == [ToolCall("a", "patch", "***", kind="custom")]


def test_legacy_function_calls() -> None:
    raw = wire(
        chunk({"role": "assistant", "function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
    )
    (part,) = parts(raw)
    assert isinstance(part, ToolCall)
    assert (part.name, part.arguments, answer(raw).finish.unified) == ("f", "{}", "tool_calls")


def test_geminis_signature_on_a_call() -> None:
    extra = {"google": {"thought_signature": "c2ln"}}
    raw = wire(calls({"index": 0, "id": "a", "function": NAME, "extra_content": extra}), STOP)
    (part,) = parts(raw)
    assert isinstance(part, ToolCall)
    assert part.signature is not None
    assert part.signature.origin == "openai", "it is the upstream's own, with the maker's name in it"
    assert from_client(part.signature.value, "openai") == Signature("c2ln", "gemini")
    assert carry.to_upstream(part.signature) == "c2ln", "Gemini's own API takes it too"


THINKING: dict[str, list[dict[str, Any]]] = {
    "deepseek": [chunk({"content": None, "reasoning_content": "h"}), chunk({"reasoning_content": "m"})],
    "groq": [chunk({"reasoning": "h"}), chunk({"reasoning": "m"})],
    "both keys": [chunk({"reasoning": "hm", "reasoning_content": "hm"})],
    "openrouter": [
        chunk(
            {
                "content": "",
                "reasoning": t,
                "reasoning_details": [{"type": "reasoning.text", "text": t, "index": 0}],
            }
        )
        for t in "hm"
    ],
    "details only": [chunk({"reasoning_details": [detail("summary", summary=t)]}) for t in "hm"],
    "mistral": [
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": t}]}]}) for t in "hm"
    ],
}


@pytest.mark.parametrize("chunks", THINKING.values(), ids=THINKING)
def test_thinking_in_each_dialect(chunks: list[dict[str, Any]]) -> None:
    thought, text = parts(wire(ROLE, *chunks, chunk({"content": "Yes", "reasoning": None}), STOP))
    assert isinstance(thought, Thinking)
    assert thought.text == "hm"
    assert text == Text("Yes")


def test_openrouters_signature_and_redacted_thinking() -> None:
    first, second, text = parts(
        wire(
            chunk(
                {
                    "reasoning": "hm",
                    "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}],
                }
            ),
            chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "sig", "index": 0}]}),
            chunk(
                {"reasoning_details": [{"type": "reasoning.encrypted", "data": "xx", "id": "r", "index": 1}]}
            ),
            chunk({"content": "Yes"}),
            STOP,
        )
    )
    assert isinstance(first, Thinking)
    assert isinstance(second, Thinking)
    assert (first.text, first.signature) == ("hm", Signature("sig", "openai"))
    assert (second.redacted, second.signature, second.id) == (True, Signature("xx", "openai"), "r")
    assert text == Text("Yes")


def test_text_between_thoughts_gives_parts_in_that_order() -> None:
    raw = wire(
        chunk({"content": "a"}),
        chunk({"reasoning_content": "b"}),
        chunk({"content": "c"}),
        chunk({"content": "d"}),
        STOP,
    )
    kinds = [(type(part), part.text) for part in parts(raw) if isinstance(part, Text | Thinking)]
    assert kinds == [(Text, "a"), (Thinking, "b"), (Text, "cd")]


def test_the_first_text_goes_out_at_once() -> None:
    decoder = CODEC.stream_decoder()
    assert decoder.feed(wire(chunk({"content": "H"}), done=False)) == [
        StreamStart("chatcmpl-1", "m", 5),
        PartStart(0, Text("")),
        PartDelta(0, "H"),
    ]


def test_refusals_sound_and_pictures() -> None:
    assert parts(wire(chunk({"refusal": "I "}), chunk({"refusal": "cannot"}), STOP)) == [Refusal("I cannot")]
    url = f"data:image/png;base64,{PNG}"
    (image,) = parts(wire(chunk({"images": [{"type": "image_url", "image_url": {"url": url}}]}), STOP))
    assert isinstance(image, Media)
    assert image.kind == "image"
    (sound,) = parts(
        wire(chunk({"audio": {"id": "audio_1", "data": "AA"}}), chunk({"audio": {"data": "BB"}}), STOP)
    )
    assert isinstance(sound, Media)
    assert sound.source.data == "AABB"  # type: ignore[union-attr]


def test_several_choices() -> None:
    def of(index: int, text: str | None, finish: str | None = None) -> dict[str, Any]:
        delta = {} if text is None else {"content": text}
        return {**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

    response = assembled(wire(of(1, "b"), of(0, "a"), of(0, None, "stop"), of(1, "c"), of(1, None, "length")))
    told = [(choice.index, choice.parts, choice.finish.unified) for choice in response.choices]
    assert told == [(0, (Text("a"),), "stop"), (1, (Text("bc"),), "length")]


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@pytest.mark.parametrize(
    "chunks",
    [
        [STOP, chunk(usage=USAGE)],
        [chunk({}, "stop", usage=USAGE)],
        [chunk({}, "stop", x_groq={"id": "x", "usage": USAGE})],
        [chunk({"content": "!"}, usage={**USAGE, "completion_tokens": 1}), chunk({}, "stop", usage=USAGE)],
        [STOP, chunk({"content": ""}, usage=USAGE)],
        [STOP, {**HEAD, "choices": None, "usage": USAGE}],
        [{**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}],
    ],
)
def test_usage_wherever_it_stands(chunks: list[dict[str, Any]]) -> None:
    usage = assembled(wire(ROLE, chunk({"content": "Hi"}), *chunks)).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (7, 3)


def test_a_stream_of_comments_preludes_and_repeated_roles() -> None:
    raw = wire(
        ": OPENROUTER PROCESSING\n\n",
        {"prompt_filter_results": []},
        chunk(),
        chunk({"role": "assistant", "content": "a"}),
        ": OPENROUTER PROCESSING\n\n",
        chunk({"role": "assistant", "content": "b"}),
        STOP,
    )
    assert parts(raw) == [Text("ab")]


@pytest.mark.parametrize("finish", [None, "stop"])
def test_done_or_a_finish_reason_is_an_end(finish: str | None) -> None:
    assert answer(wire(chunk({"content": "a"}, finish), done=finish is None)).finish.unified == "stop"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b": ping\n\n",
        wire(ROLE, done=False),
        wire(chunk({"content": "a"}), done=False),
        b"data: [DONE]\n\n",
        wire(ROLE, "data: {broken\n\n"),
        b'data: {"id": "x", "choices": [{"mess',
        b"<html>Bad gateway</html>",
    ],
)
def test_a_stream_that_is_cut_is_a_failure(raw: bytes) -> None:
    last = check(events(raw))[-1]
    assert isinstance(last, Failure)
    assert last.error.kind == "upstream"


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"message": "slow down", "code": 429}, "rate_limit", 429),
        ({"message": "full", "type": "overloaded_error"}, "overloaded", 529),
        ({"message": "oops", "type": "server_error", "code": None}, "upstream", 502),
        ("just words", "upstream", 502),
    ],
)
def test_an_error_in_the_stream_keeps_its_kind(error: Any, kind: str, status: int) -> None:
    seen = check(events(wire(ROLE, chunk({"content": "a"}), {"error": error}, chunk({"content": "b"}))))
    last = seen[-1]
    assert isinstance(last, Failure)
    assert (last.error.kind, last.error.status) == (kind, status)
    assert last.error.message in ("slow down", "full", "oops", "just words")


@pytest.mark.parametrize(
    "document",
    [
        {"object": "error", "message": "boom", "code": 400},
        {"type": "error", "message": "boom"},
        {"detail": "boom"},
        {"error": {"message": "boom"}},
    ],
)
def test_an_error_of_any_shape_is_told_in_its_words(document: dict[str, Any]) -> None:
    last = check(events(wire(chunk({"content": "a"}), document)))[-1]
    assert isinstance(last, Failure)
    assert last.error.message == "boom"


def test_log_probabilities_travel_with_their_text() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    first = chunk({"content": "a"})
    first["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    (part,) = parts(wire(first, STOP))
    assert part.extensions == {"openai": {"logprobs": [token]}}  # type: ignore[union-attr]


EVERYTHING = wire(
    ": comment\n\n",
    ROLE,
    *THINKING["openrouter"],
    chunk({"content": "Grüße \u2028 😀"}),
    *CALLS["interleaved"],
    chunk({}, "stop"),
    chunk(usage=USAGE),
)


@given(st.lists(st.integers(0, len(EVERYTHING)), max_size=30))
@settings(deadline=None, max_examples=60)
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    whole = events(EVERYTHING)
    decoder = CODEC.stream_decoder()
    places = [0, *sorted(cuts), len(EVERYTHING)]
    pieces = [EVERYTHING[a:b] for a, b in pairwise(places)]
    assert [event for piece in pieces for event in decoder.feed(piece)] + decoder.close() == whole


def test_byte_by_byte_with_every_line_end() -> None:
    whole = events(EVERYTHING)
    for line_end in (b"\n", b"\r\n", b"\r"):
        decoder = CODEC.stream_decoder()
        raw = EVERYTHING.replace(b"\n", line_end).rstrip(line_end)
        got = [event for byte in raw for event in decoder.feed(bytes([byte]))]
        assert got + decoder.close() == whole


_words = st.sampled_from(["id", "name", "text"])
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "stop", "reasoning.text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner),
    max_leaves=6,
)
_DELTA = "content role reasoning reasoning_details tool_calls function_call audio images annotations"
_ITEM = ("index", "id", "function", "custom", "type", "data", "extra_content")
_item = st.fixed_dictionaries({}, optional=dict.fromkeys(_ITEM, _values))
_delta = st.dictionaries(st.sampled_from(_DELTA.split()), _values | st.lists(_item, max_size=2))
_chunk = st.fixed_dictionaries(
    {},
    optional={
        "id": _values,
        "choices": _values
        | st.lists(
            st.fixed_dictionaries({}, optional={"delta": _delta, "index": _values, "finish_reason": _values}),
            max_size=2,
        ),
        "usage": _values,
        "x_groq": _values,
        "created": _values,
    },
)


@given(st.lists(_chunk | _values, max_size=6))
@settings(deadline=None, max_examples=400)
def test_any_json_in_a_stream_gives_events_in_order(chunks: list[Any]) -> None:
    check(events("".join(f"data: {json.dumps(one)}\n\n" for one in chunks).encode()))


def test_random_bytes_give_a_failure_in_order() -> None:
    source = random.Random(7)
    for _ in range(3_000):
        raw = source.randbytes(source.randrange(60))
        if source.random() < 0.5:
            raw = b'data: {"choices":[' + raw + b"]}\n\n"
        assert isinstance(check(events(raw))[-1], Failure | StreamEnd)


def test_the_events_of_a_plain_stream() -> None:
    kinds = [type(event) for event in events(wire(ROLE, chunk({"content": "a"}), STOP, chunk(usage=USAGE)))]
    assert kinds[:3] == [StreamStart, PartStart, PartDelta]
    assert kinds[-2:] == [Finish, StreamEnd]
    assert kinds.count(UsageUpdate) == 1
