from __future__ import annotations

import copy
import pickle
from decimal import Decimal

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


@pytest.mark.parametrize(
    "number",
    [
        "0.1000000000000000055",
        "1e400",
        "-1E+400",
        "1e-400",
        "-2.5E-325",
        "0." + "0" * 330 + "1",
        "3.14159265358979323846",
        "100000000000000000000.0",
        "9007199254740993",
        "18446744073709551616",
        "0.30000000000000004",
        "1.7976931348623157e+308",
        "5e-324",
    ],
)
@pytest.mark.parametrize("around", ["%s", "[%s]", '{"a":{"b":[1,%s,0.5]}}', '{"a":%s,"b":"\\ud83d","c":"é"}'])
def test_numbers_keep_their_digits(number: str, around: str) -> None:
    text = around % number
    if "é" in text:  # beside a lone surrogate
        assert jsontext.load(jsontext.dump(jsontext.load(text))) == jsontext.load(text)
        assert number in jsontext.dump(jsontext.load(text))
    else:
        assert jsontext.dump(jsontext.load(text)) == text


def test_an_exact_number_is_a_number() -> None:
    number = jsontext.load("[0.1000000000000000055]")[0]
    assert number == 0.1
    copies = [copy.deepcopy(number), pickle.loads(pickle.dumps(number))]
    assert jsontext.dump(copies) == "[0.1000000000000000055,0.1000000000000000055]"


@given(st.decimals(allow_nan=False, allow_infinity=False).map(lambda one: f"{one:f}"))
def test_any_decimal_is_still_the_same_number(text: str) -> None:
    assert Decimal(jsontext.dump(jsontext.load(text))) == Decimal(text)


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
