"""JSON with the slips that models make."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.compat.lenient_json import load_lenient

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1,}', {"a": 1}),
        ("[1, 2, ]", [1, 2]),
        ("{'a': 'it\\'s \"x\"'}", {"a": 'it\'s "x"'}),
        ("{'a': True, 'b': False, 'c': None}", {"a": True, "b": False, "c": None}),
        ('{"a": "x\ty\n"}', {"a": "x\ty\n"}),
        ('{"a": "\\d \\u00e9 \\\\ \\n"}', {"a": "\\d é \\ \n"}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ],
)
def test_slips_are_repaired(text: str, value: object) -> None:
    assert load_lenient(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": 1', '{"a": "x}', "{a: 1}", '{"a" 1}', '{"a": 1]', '{"a": 1}}', "x", '{"a": 1} {"b": 2}'],
)
def test_what_could_mean_anything_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_lenient(text)


@pytest.mark.parametrize(("text", "value"), [('{"a": {"b": [1', {"a": {"b": [1]}}), ('{"a": 1,', {"a": 1})])
def test_open_brackets_are_closed_if_wished(text: str, value: object) -> None:
    assert load_lenient(text, close=True) == value
    with pytest.raises(ValueError, match="open"):
        load_lenient(text)


@given(JSON)
def test_json_is_read_as_it_is(value: object) -> None:
    assert load_lenient(json.dumps(value)) == value


@given(JSON)
def test_python_is_read_as_it_is(value: object) -> None:
    text = repr(value)
    try:
        found = load_lenient(text)
    except ValueError:
        assert "\\x" in text or "\\U" in text or not isinstance(value, (dict, list))
        return
    assert found == value or "\\" in text


@given(st.text(alphabet="{}[]\"'\\,: \nab1eT", max_size=30), st.booleans())
def test_anything_is_read_or_refused(text: str, close: bool) -> None:
    with contextlib.suppress(ValueError):
        load_lenient(text, close=close)
