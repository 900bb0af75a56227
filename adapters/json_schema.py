"""Dialects of JSON Schema: what each provider's schema fields take, and how one becomes another.

The canonical model holds plain JSON Schema (lower-case types, `null` as a type). All functions give new
values, never change their input, and take anything that JSON can hold: what is no schema stays as it is.

Sources: https://ai.google.dev/api/caching#Schema and `GenerationConfig.responseJsonSchema` there;
https://platform.openai.com/docs/guides/structured-outputs#supported-schemas;
https://docs.claude.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adapters.canonical import OutputFormat
from adapters.jsontext import dump

Schema = dict[str, Any]

MAX_DEPTH = 64
"""Deeper levels are carried over unread: a bound for hostile input, far above real schemas."""

_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset(
    {
        "items",
        "additionalProperties",
        "additionalItems",
        "unevaluatedProperties",
        "unevaluatedItems",
        "propertyNames",
        "contains",
        "not",
        "if",
        "then",
        "else",
    }
)


def rewrite(schema: Any, step: Callable[[Schema], Schema], depth: int = 0) -> Any:
    """Apply `step` to every schema object within `schema`, the innermost first."""
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return schema
    result: Schema = {}
    for key, value in schema.items():
        if key in _MAPS and isinstance(value, Mapping):
            result[key] = {name: rewrite(inner, step, depth + 1) for name, inner in value.items()}
        elif isinstance(value, list) and (key in _LISTS or key == "items"):
            result[key] = [rewrite(inner, step, depth + 1) for inner in value]
        elif key in _SINGLE:
            result[key] = rewrite(value, step, depth + 1)
        else:
            result[key] = value
    return step(result)


# ---------------------------------------------------------------- type names


def lower_types(schema: Any) -> Any:
    """The same schema with lower-case type names: some clients send `OBJECT` in JSON Schema fields."""
    return rewrite(schema, _with_lower_types)


def _with_lower_types(schema: Schema) -> Schema:
    kind = schema.get("type")
    if isinstance(kind, str) and kind.lower() in _TYPES:
        schema["type"] = kind.lower()
    elif isinstance(kind, list):
        schema["type"] = [k.lower() if isinstance(k, str) and k.lower() in _TYPES else k for k in kind]
    return schema


# ---------------------------------------------------------------- Gemini

_GEMINI_NAMES = {
    "any_of": "anyOf",
    "one_of": "oneOf",
    "all_of": "allOf",
    "prefix_items": "prefixItems",
    "max_items": "maxItems",
    "min_items": "minItems",
    "max_length": "maxLength",
    "min_length": "minLength",
    "max_properties": "maxProperties",
    "min_properties": "minProperties",
    "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
    "defs": "$defs",
    "ref": "$ref",
}
"""Spellings of the proto's JSON form and of the SDKs -> JSON Schema's keyword."""

_GEMINI_COUNTS = ("maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties")
"""int64 in the proto: its JSON form may be a string."""


def from_gemini(schema: Any) -> Any:
    """Gemini's `Schema` (upper-case types, `nullable`, `propertyOrdering`) as JSON Schema."""
    return rewrite(_spelled(schema), _from_gemini_step)


def _spelled(schema: Any, depth: int = 0) -> Any:
    """Keywords as JSON Schema spells them; names of properties are left alone."""
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return schema
    result: Schema = {}
    for key, value in schema.items():
        name = str(_GEMINI_NAMES.get(key, key))
        if name in _MAPS and isinstance(value, Mapping):
            result[name] = {inner: _spelled(v, depth + 1) for inner, v in value.items()}
        elif name in _LISTS and isinstance(value, list):
            result[name] = [_spelled(v, depth + 1) for v in value]
        elif name in _SINGLE:
            result[name] = _spelled(value, depth + 1)
        else:
            result[name] = value
    return result


def _from_gemini_step(schema: Schema) -> Schema:
    schema = _with_lower_types(schema)
    if schema.get("type") == "TYPE_UNSPECIFIED":
        del schema["type"]
    if schema.get("format") == "enum":  # Gemini's mark of a string with an enum
        del schema["format"]
    for key in _GEMINI_COUNTS:
        count = schema.get(key)
        if isinstance(count, str) and count.isdecimal():
            schema[key] = int(count)
    if "example" in schema and "examples" not in schema:
        schema["examples"] = [schema.pop("example")]
    order = schema.pop("propertyOrdering", None)
    properties = schema.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        names = [name for name in order if isinstance(name, str) and name in properties]
        schema["properties"] = {name: properties[name] for name in dict.fromkeys([*names, *properties])}
    if schema.pop("nullable", False) is True:
        return nullable(schema)
    return schema


def nullable(schema: Schema) -> Schema:
    """The same schema, or null."""
    kind, branches, enum = schema.get("type"), schema.get("anyOf"), schema.get("enum")
    if isinstance(kind, str | list):
        kinds = [kind] if isinstance(kind, str) else kind
        schema = {**schema, "type": kinds if "null" in kinds else [*kinds, "null"]}
        if isinstance(enum, list) and None not in enum:
            schema["enum"] = [*enum, None]
        return schema
    if isinstance(branches, list):
        has_null = any(isinstance(b, Mapping) and b.get("type") == "null" for b in branches)
        return schema if has_null else {**schema, "anyOf": [*branches, {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]} if schema else schema


def for_gemini(schema: Any) -> Any:
    """JSON Schema for `parametersJsonSchema` and `responseJsonSchema`.

    These take JSON Schema, but no `$schema`, no `$ref` beside other keywords, and fail on many documents
    with `$defs` ("reference to undefined schema"), so references are written out where they end. `const`,
    which is not among the supported keywords, becomes an enum of one.
    """
    return rewrite(inline_references(schema), _for_gemini_step)


def _for_gemini_step(schema: Schema) -> Schema:
    schema.pop("$schema", None)
    constant = schema.get("const")
    if "enum" not in schema and isinstance(constant, str | int | float) and not isinstance(constant, bool):
        return {("enum" if k == "const" else k): ([v] if k == "const" else v) for k, v in schema.items()}
    return schema


# ---------------------------------------------------------------- references


def inline_references(schema: Any, limit: int = 20_000) -> Any:
    """Write out local `$ref`s. Recursive ones stay, with the definitions that they need.

    Once about `limit` schemas have been written out in place of references, the rest stay too (a small
    document can stand for an exponentially large one).
    """
    if not isinstance(schema, Mapping):
        return schema
    inliner = _Inliner(schema, limit)
    result = inliner.inline(schema, (), 0)
    if not inliner.kept and isinstance(result, dict):
        result.pop("$defs", None)
        result.pop("definitions", None)
    return result


class _Inliner:
    def __init__(self, root: Mapping[str, Any], limit: int) -> None:
        self.root = root
        self.left = limit
        self.kept = False

    def inline(self, schema: Any, open_references: tuple[str, ...], depth: int) -> Any:
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            self.kept = self.kept or depth > MAX_DEPTH
            return schema
        if open_references:
            self.left -= 1
        reference = schema.get("$ref")
        if isinstance(reference, str):
            found = self._find(reference)
            if found is None or reference in open_references or self.left <= 0:
                self.kept = True
                return dict(schema)
            beside = {k: v for k, v in schema.items() if k != "$ref"}
            merged = {**found, **beside} if isinstance(found, Mapping) else (beside or found)
            return self.inline(merged, (*open_references, reference), depth + 1)
        return {k: self._value(k, v, open_references, depth) for k, v in schema.items()}

    def _value(self, key: str, value: Any, open_references: tuple[str, ...], depth: int) -> Any:
        if key in {"$defs", "definitions"} and depth == 0:
            return value
        if key in _MAPS and isinstance(value, Mapping):
            return {name: self.inline(inner, open_references, depth + 1) for name, inner in value.items()}
        if isinstance(value, list) and (key in _LISTS or key == "items"):
            return [self.inline(inner, open_references, depth + 1) for inner in value]
        return self.inline(value, open_references, depth + 1) if key in _SINGLE else value

    def _find(self, reference: str) -> Any:
        """What a JSON pointer into the document names; None for anything else."""
        if not reference.startswith("#/"):
            return None
        found: Any = self.root
        for step in reference[2:].split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or step not in found:
                return None
            found = found[step]
        return found


# ---------------------------------------------------------------- OpenAI

_STRICT_KEYWORDS = frozenset(
    {
        "$ref",
        "$defs",
        "definitions",
        "type",
        "enum",
        "const",
        "title",
        "description",
        "anyOf",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "pattern",
        "format",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
    }
)
_STRICT_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)


def fits_openai_strict(schema: Any) -> bool:
    """Whether OpenAI takes the schema with `strict: true`: closed objects, every property required."""
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        return False
    fits = True

    def look(inner: Schema) -> Schema:
        nonlocal fits
        fits = fits and _is_strict(inner)
        return inner

    rewrite(schema, look)
    return fits


def _is_strict(schema: Schema) -> bool:
    if not schema.keys() <= _STRICT_KEYWORDS:
        return False
    form = schema.get("format", "date")
    if isinstance(schema.get("items"), list) or not isinstance(form, str) or form not in _STRICT_FORMATS:
        return False
    kind = schema.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema:
        properties, required = schema.get("properties"), schema.get("required")
        names = set(properties) if isinstance(properties, Mapping) else set()
        listed = {n for n in required if isinstance(n, str)} if isinstance(required, list) else set()
        return schema.get("additionalProperties") is False and names == listed
    return bool(schema.keys() & {"type", "anyOf", "$ref", "enum", "const"})


# ---------------------------------------------------------------- Anthropic

_ANTHROPIC_KEYWORDS = frozenset(
    {
        "$ref",
        "$defs",
        "definitions",
        "type",
        "enum",
        "const",
        "title",
        "description",
        "default",
        "anyOf",
        "allOf",
        "properties",
        "required",
        "additionalProperties",
        "items",
    }
)
_ANTHROPIC_FORMATS = _STRICT_FORMATS | {"uri"}


def for_anthropic_output(schema: Any) -> tuple[Any, tuple[str, ...]]:
    """JSON Schema for `output_config.format` and strict tools, and the keywords that it cannot take.

    Objects are closed; limits (`minimum`, `maxLength`, …) are told in the description instead, as
    Anthropic's own SDKs do it, so that the model still knows of them.
    """
    told: dict[str, None] = {}

    def step(inner: Schema) -> Schema:
        if "$ref" in inner:  # takes nothing beside it
            return {k: v for k, v in inner.items() if k in ("$ref", "$defs", "definitions")}
        if isinstance(inner.get("oneOf"), list) and "anyOf" not in inner:
            inner["anyOf"] = inner.pop("oneOf")
        notes = {k: v for k, v in inner.items() if not _anthropic_takes(k, v) and k != "$schema"}
        result = {k: v for k, v in inner.items() if _anthropic_takes(k, v)}
        if result.get("type") == "object" or "properties" in result:
            result["additionalProperties"] = False
        if notes:
            told.update(dict.fromkeys(notes))
            words = "{" + ", ".join(f"{k}: {dump(v)}" for k, v in notes.items()) + "}"
            before = result.get("description")
            result["description"] = f"{before}\n\n{words}" if isinstance(before, str) and before else words
        return result

    return rewrite(schema, step), tuple(told)


def _anthropic_takes(key: str, value: Any) -> bool:
    match key:
        case "format":
            return value in _ANTHROPIC_FORMATS if isinstance(value, str) else False
        case "minItems":
            return value in (0, 1)
        case "additionalProperties":
            return value is False
        case _:
            return key in _ANTHROPIC_KEYWORDS


def described_schema(wanted: OutputFormat) -> Schema:
    """The schema of an output format, with the words about it where the protocol has no other place."""
    schema = dict(wanted.schema or {"type": "object", "properties": {}})
    if wanted.description and "description" not in schema:
        schema["description"] = wanted.description
    return schema
