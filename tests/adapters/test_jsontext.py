from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import jsontext

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_what_is_written_can_be_read(value: object) -> None:
    assert jsontext.load(jsontext.dump(value)) == value


@pytest.mark.parametrize(
    "text", ["12345678901234567890123", '{"a":[-99999999999999999999]}', '"\\ud83d"', "18446744073709551616"]
)
def test_kept_exactly(text: str) -> None:
    assert jsontext.dump(jsontext.load(text)) == text


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "{", "[" * 100_000, "", "{'a':1}", '{"a":1,}'])
def test_not_json(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every kind of bad text, one kind of error
        jsontext.load(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", {}), ("  ", {}), ("{}", {}), ('{"a":1}', {"a": 1}), ("[1]", None), ("{", None), ("null", None)],
)
def test_load_object(text: str, expected: dict | None) -> None:
    assert jsontext.load_object(text) == expected


def test_order_of_keys_is_kept() -> None:
    assert jsontext.dump({"b": 1, "a": {"d": 1, "c": 2}}) == '{"b":1,"a":{"d":1,"c":2}}'
