"""Any chunking of the same bytes gives the same documents."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.framing import JsonArrayDecoder, NdjsonDecoder, SseDecoder, SseEvent, sse, sse_comment


def in_chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def run(decoder, chunks: list[bytes]) -> list:
    documents = [document for chunk in chunks for document in decoder.feed(chunk)]
    return documents + decoder.close()


CASES = {
    "lf": (b"data: a\n\ndata: b\n\n", [SseEvent(None, "a"), SseEvent(None, "b")]),
    "crlf": (b"event: x\r\ndata: a\r\n\r\n", [SseEvent("x", "a")]),
    "cr": (b"event: x\rdata: a\r\r", [SseEvent("x", "a")]),
    "comment": (b": hello\n\ndata: a\n\n", [SseEvent(None, "a")]),
    "several lines of data": (b"data: a\ndata: b\n\n", [SseEvent(None, "a\nb")]),
    "no space": (b"data:a\n\n", [SseEvent(None, "a")]),
    "two spaces": (b"data:  a\n\n", [SseEvent(None, " a")]),
    "no final blank line": (b"data: a", [SseEvent(None, "a")]),
    "line separator in JSON": (
        'data: "\u2028\u2029\x85\x0b"\n\n'.encode(),
        [SseEvent(None, '"\u2028\u2029\x85\x0b"')],
    ),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [SseEvent(None, "a")]),
    "event without data": (b"event: x\n\ndata: a\n\n", [SseEvent(None, "a")]),
    "id and retry": (b"id: 1\nretry: 5\ndata: a\n\n", [SseEvent(None, "a")]),
    "empty data": (b"data:\n\n", [SseEvent(None, "")]),
    "four bytes in a character": ("data: \U0001f600é\n\n".encode(), [SseEvent(None, "\U0001f600é")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("name", CASES)
def test_sse(name: str) -> None:
    data, events = CASES[name]
    assert run(SseDecoder(), [data]) == events
    assert run(SseDecoder(), [bytes([byte]) for byte in data]) == events


@given(st.binary(), st.lists(st.integers(0, 500)))
def test_sse_takes_any_bytes_in_any_chunks(data: bytes, cuts: list[int]) -> None:
    assert run(SseDecoder(), in_chunks(data, cuts)) == run(SseDecoder(), [data])


@given(st.lists(st.tuples(st.text(), st.none() | st.from_regex(r"[a-z._]{1,20}", fullmatch=True))))
def test_what_is_written_can_be_read(events: list[tuple[str, str | None]]) -> None:
    data = b"".join(sse(json.dumps(text).encode(), event) + sse_comment() for text, event in events)
    assert run(SseDecoder(), [data]) == [SseEvent(event, json.dumps(text)) for text, event in events]


json_objects = st.dictionaries(
    st.text(), st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x), max_leaves=5)
)


@given(st.lists(json_objects), st.lists(st.integers(0, 2000)), st.booleans())
def test_ndjson(objects: list[dict], cuts: list[int], ascii_only: bool) -> None:
    lines = [json.dumps(o, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for o in objects]
    data = b"\r\n".join(lines)
    assert run(NdjsonDecoder(), in_chunks(data, cuts)) == lines


@given(st.lists(json_objects), st.lists(st.integers(0, 2000)), st.sampled_from([None, 2]))
def test_json_array(objects: list[dict], cuts: list[int], indent: int | None) -> None:
    data = json.dumps(objects, indent=indent).encode()
    documents = run(JsonArrayDecoder(), in_chunks(data, cuts))
    assert [json.loads(document) for document in documents] == objects


def test_a_cut_json_array_leaves_the_broken_rest() -> None:
    assert run(JsonArrayDecoder(), [b'[{"a": 1},{"b": "}']) == [b'{"a": 1}', b'{"b": "}']
