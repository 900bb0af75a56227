"""Schema dialects: meaning is kept, input is never changed, hostile input is bounded."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from google.genai import types as genai
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import json_schema

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "anyOf",
                    "$ref",
                    "$defs",
                    "enum",
                    "const",
                    "required",
                    "nullable",
                    "oneOf",
                    "format",
                    "minItems",
                    "propertyOrdering",
                    "description",
                    "a",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        (
            {"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"any_of": [{"type": "STRING"}, {"type": "INTEGER", "format": "int32"}], "nullable": True},
            {"anyOf": [{"type": "string"}, {"type": "integer", "format": "int32"}, {"type": "null"}]},
        ),
        (
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": "2", "max_items": 3},
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3},
        ),
        (
            {"type": "OBJECT", "properties": {"max_items": {"type": "BOOLEAN"}}, "required": ["max_items"]},
            {"type": "object", "properties": {"max_items": {"type": "boolean"}}, "required": ["max_items"]},
        ),
        (
            {"type": "OBJECT", "example": {"type": "OBJECT"}},
            {"type": "object", "examples": [{"type": "OBJECT"}]},
        ),
    ],
)
def test_from_gemini(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert json_schema.from_gemini(schema) == expected


def test_property_ordering_becomes_the_order() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}, "c": {"type": "STRING"}},
        "propertyOrdering": ["c", "a"],
    }
    assert list(json_schema.from_gemini(schema)["properties"]) == ["c", "a", "b"]
    assert "propertyOrdering" not in json_schema.from_gemini(schema)


def test_from_gemini_reads_what_the_sdk_writes() -> None:
    schema = genai.Schema(
        type=genai.Type.OBJECT,
        properties={"n": genai.Schema(type=genai.Type.INTEGER, nullable=True, minimum=1)},
        required=["n"],
    )
    for by_alias in (True, False):
        written = schema.model_dump(mode="json", by_alias=by_alias, exclude_none=True)
        assert json_schema.from_gemini(written) == {
            "type": "object",
            "properties": {"n": {"type": ["integer", "null"], "minimum": 1}},
            "required": ["n"],
        }


def test_lower_types_leaves_names_and_values_alone() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"STRING": {"type": "STRING", "enum": ["STRING"]}, "type": {"type": ["NULL", "ARRAY"]}},
    }
    assert json_schema.lower_types(schema) == {
        "type": "object",
        "properties": {"STRING": {"type": "string", "enum": ["STRING"]}, "type": {"type": ["null", "array"]}},
    }


def test_references_are_written_out_and_keep_what_stands_beside_them() -> None:
    schema = {
        "type": "object",
        "properties": {"kind": {"$ref": "#/$defs/Kind", "description": "which"}, "o": {"$ref": "#/$defs/O"}},
        "$defs": {
            "Kind": {"enum": ["a", "b"], "description": "any"},
            "O": {"properties": {"k": {"$ref": "#/$defs/Kind"}}},
        },
    }
    assert json_schema.inline_references(schema) == {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a", "b"], "description": "which"},
            "o": {"properties": {"k": {"enum": ["a", "b"], "description": "any"}}},
        },
    }


def test_recursive_references_stay_with_their_definitions() -> None:
    schema = {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}},
        },
    }
    result = json_schema.inline_references(schema)
    assert result["type"] == "object"
    assert "Node" in result["$defs"]


def test_an_exponential_document_stays_small() -> None:
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for n in range(1, 40):
        reference = {"$ref": f"#/$defs/d{n - 1}"}
        definitions[f"d{n}"] = {"type": "object", "properties": {"l": reference, "r": reference}}
    result = json_schema.inline_references({"$ref": "#/$defs/d39", "$defs": definitions}, limit=1000)
    assert len(str(result)) < 1_000_000


def test_unknown_references_stay() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}
    assert json_schema.inline_references(schema) == schema


def test_for_gemini() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "v": {"const": "x"},
            "n": {"type": "number", "exclusiveMinimum": 0},
            "flag": {"const": True},
        },
    }
    assert json_schema.for_gemini(schema) == {
        "type": "object",
        "properties": {
            "v": {"enum": ["x"]},
            "n": {"type": "number", "exclusiveMinimum": 0},
            "flag": {"const": True},
        },
    }


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"type": "object", "properties": {}, "required": [], "additionalProperties": False}, True),
        (
            {
                "type": "object",
                "properties": {"a": {"type": ["string", "null"]}, "b": {"$ref": "#/$defs/B"}},
                "required": ["b", "a"],
                "additionalProperties": False,
                "$defs": {"B": {"enum": [1, 2]}},
            },
            True,
        ),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, False),
        ({"type": "array", "items": {"type": "string"}}, False),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string", "minLength": 1}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
        (True, False),
    ],
)
def test_fits_openai_strict(schema: Any, fits: bool) -> None:
    assert json_schema.fits_openai_strict(schema) is fits


def test_for_anthropic_output() -> None:
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 1, "maximum": 10, "description": "A number"},
            "l": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
            "u": {"oneOf": [{"type": "string", "format": "uuid"}, {"type": "string", "format": "odd"}]},
        },
        "required": ["n"],
        "additionalProperties": True,
    }
    result, told = json_schema.for_anthropic_output(schema)
    assert result == {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "description": "A number\n\n{minimum: 1, maximum: 10}"},
            "l": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "description": "{maxItems: 3}",
            },
            "u": {
                "anyOf": [
                    {"type": "string", "format": "uuid"},
                    {"type": "string", "description": '{format: "odd"}'},
                ]
            },
        },
        "required": ["n"],
        "additionalProperties": False,
        "description": "{additionalProperties: true}",
    }
    assert set(told) == {"minimum", "maximum", "maxItems", "format", "additionalProperties"}


@given(JSON)
@settings(max_examples=300)
def test_any_json_is_survived_and_left_unchanged(schema: Any) -> None:
    before = copy.deepcopy(schema)
    json_schema.from_gemini(schema)
    json_schema.lower_types(schema)
    json_schema.for_gemini(schema)
    json_schema.for_anthropic_output(schema)
    json_schema.fits_openai_strict(schema)
    assert schema == before


def test_very_deep_schemas_are_survived() -> None:
    schema: dict[str, Any] = {"type": "STRING"}
    for _ in range(900):
        schema = {"type": "ARRAY", "items": schema}
    assert json_schema.from_gemini(schema)["type"] == "array"
    assert json_schema.for_gemini(schema)["type"] == "ARRAY"
