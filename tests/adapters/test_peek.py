from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import InvalidRequest
from adapters.peek import peek, replace_model

KEYS = st.sampled_from(["model", "mod\\el", 'a"b', "x", "messages", "ü", ""])
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8) | KEYS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(
    document=st.dictionaries(KEYS, VALUES, max_size=5),
    model=st.none() | st.text(max_size=6),
    name=st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable()),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_only_the_model_changes(
    document: dict[str, Any], model: str | None, name: str, indent: int | None, ascii_only: bool
) -> None:
    document.pop("model", None)
    document.pop("stream", None)
    if model is not None:
        document["model"] = model
    body = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    changed = replace_model(body, peek(body), name)
    assert json.loads(changed) == {**document, "model": name}
    if model is None:
        inserted = b'"model":' + json.dumps(name, ensure_ascii=False).encode()
        assert len(changed) - len(body) <= len(inserted) + 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a","x":1}', b'{"model":"N","x":1}'),
        (b' { "x" : 1 , "model" :\t"a" } \n', b' { "x" : 1 , "model" :\t"N" } \n'),
        (b'{"x":{"model":"a"},"y":[{"model":"a"}]}', b'{"model":"N","x":{"model":"a"},"y":[{"model":"a"}]}'),
        (b'{"x":{"model":"a"},"model":"a"}', b'{"x":{"model":"a"},"model":"N"}'),
        (b'{"required":["model"],"model":"a"}', b'{"required":["model"],"model":"N"}'),
        (b'{"p":{"model":{"type":"string"}},"model":"a"}', b'{"p":{"model":{"type":"string"}},"model":"N"}'),
        (b'{"x":{"model":"a"},"mod\\u0065l":"a"}', b'{"x":{"model":"a"},"mod\\u0065l":"N"}'),
        (b'{"model":"a","model":"b"}', b'{"model":"N","model":"N"}'),
        (b'{"model":"a","mod\\u0065l":"a"}', b'{"model":"N","mod\\u0065l":"N"}'),
        (b'{"model":"a\\"}b","z":"\\"model\\":\\"q\\""}', b'{"model":"N","z":"\\"model\\":\\"q\\""}'),
        (b'{"model":null,"a":"}{"}', b'{"model":"N","a":"}{"}'),
        (b"{}", b'{"model":"N"}'),
        (b"{ }", b'{"model":"N" }'),
        (b'\xef\xbb\xbf{"a":1}', b'\xef\xbb\xbf{"model":"N","a":1}'),
        (
            b'{"big":12345678901234567890123,"f":1.50,"model":"a"}',
            b'{"big":12345678901234567890123,"f":1.50,"model":"N"}',
        ),
    ],
)
def test_every_other_byte_stays(body: bytes, expected: bytes) -> None:
    assert replace_model(body, peek(body), "N") == expected


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is empty"),
        (b"  ", "the body is empty"),
        (b'{"a":\n 1,}', "line 2, column 3"),
        (b'{"a"', "line 1, column"),
        (b"[]", "not an array"),
        (b"5", "not a number"),
        (b'"x"', "not a string"),
        (b"null", "not null"),
        (b'{"model":3}', "model: must be a string, not a number"),
        (b'{"model":["a"]}', "model: must be a string, not an array"),
        (b'{"stream":"yes"}', "stream: must be true or false, not a string"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a":' * 100_000, "not valid JSON"),
        (b'{"a":' * 5000 + b'"\\ud800"' + b"}" * 5000, "not valid JSON"),
        (b'\xff{"a":1}', "not valid JSON"),
        ('{"a":1}'.encode("utf-16"), "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
    ],
)
def test_what_is_wrong_is_told(body: bytes, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        peek(body)


def test_a_text_that_was_cut_within_an_emoji_is_accepted() -> None:
    assert peek(b'{"model":"m","a":"x\\ud83d"}').document == {"model": "m", "a": "x\ufffd"}


@given(st.binary(max_size=60))
def test_nothing_but_a_typed_error_is_raised(body: bytes) -> None:
    try:
        found = peek(body)
    except InvalidRequest:
        return
    assert json.loads(replace_model(body, found, "N").decode("utf-8-sig"))["model"] == "N"
