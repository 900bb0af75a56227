"""pydantic's findings in plain words, with the nearest known key where one is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hub.settings.document import Document
from hub.settings.model import Settings
from hub.settings.problems import KeyPath

MESSAGES = {
    "missing": "`{key}` is missing",
    "int_type": "must be a whole number{shown}",
    "int_parsing": "must be a whole number{shown}",
    "int_parsing_size": "is too large a number{shown}",
    "int_from_float": "must be a whole number{shown}",
    "float_type": "must be a number{shown}",
    "float_parsing": "must be a number{shown}",
    "finite_number": "must be a finite number{shown}",
    "bool_type": "must be true or false{shown}",
    "bool_parsing": "must be true or false{shown}",
    "string_type": "must be a text{shown}",
    "string_too_short": "must not be empty",
    "path_type": "must be a path{shown}",
    "model_type": "must be a mapping (`key: value`){shown}",
    "dict_type": "must be a mapping (`key: value`){shown}",
    "mapping_type": "must be a mapping (`key: value`){shown}",
    "tuple_type": "must be a list{shown}",
    "list_type": "must be a list{shown}",
    "literal_error": "must be one of {expected}{shown}",
    "greater_than": "must be more than {gt}{shown}",
    "greater_than_equal": "must be at least {ge}{shown}",
    "less_than": "must be less than {lt}{shown}",
    "less_than_equal": "must be at most {le}{shown}",
}

CONTAINERS = frozenset({"model_type", "dict_type", "mapping_type", "tuple_type", "list_type"})

KINDS = {
    str: "a text",
    dict: "a mapping",
    list: "a list",
    tuple: "a list",
    type(None): "nothing",
    bool: "true or false",
}


def explain(document: Document, error: ValidationError) -> None:
    """Record every finding of `error` at its place in `document`."""
    for finding in _of_what_was_meant(document.data, error.errors(include_url=False)):
        path: KeyPath = finding["loc"]
        if path[-1:] == ("[key]",):  # the key is at fault, not what it holds
            path = path[:-1]
        context = finding.get("ctx", {})
        match finding["type"]:
            case "extra_forbidden":
                key = str(path[-1])
                document.refuse(path, f"unknown key `{key}`", nearest_hint(key, known_keys(path[:-1])))
            case "value_error":
                document.refuse(path, str(context["error"]))
            case kind if kind in MESSAGES:
                shown = _shown(document, path, finding["input"], whole=kind in CONTAINERS)
                message = MESSAGES[kind].format(key=path[-1] if path else "", shown=shown, **context)
                hint = ""
                if kind == "literal_error" and shown:
                    hint = nearest_hint(
                        str(finding["input"]), _literals(str(context["expected"])), only_near=True
                    )
                document.refuse(path, message.replace("'", "`"), hint)
            case _:
                document.refuse(path, finding["msg"])


def _of_what_was_meant(data: Any, findings: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """`findings`, with the names of a union's members taken out of their places.

    Where a value may be one thing or another, pydantic says what is wrong with it as each of them. What
    stands deepest tells what was meant: of a mapping its keys; else all that it may be is told.
    """
    unions: dict[KeyPath, list[tuple[KeyPath, Mapping[str, Any]]]] = {}
    for finding in findings:
        union, rest = _split_at_union(data, finding["loc"])
        if union is None:
            yield finding
        else:
            unions.setdefault(union, []).append((rest, finding))
    for union, found in unions.items():
        deepest = [(rest, finding) for rest, finding in found if rest]
        for rest, finding in deepest or found[:1]:
            yield {**finding, "loc": (*union, *rest)}


def _split_at_union(data: Any, path: KeyPath) -> tuple[KeyPath | None, KeyPath]:
    """Where the union stands of which a member is named in `path`, and what comes behind that name."""
    here = data
    for at, step in enumerate(path):
        inside = here.keys() if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        if step not in inside:
            return (path[:at], path[at + 1 :]) if _is_member(step) else (None, ())
        here = here[step]
    return None, ()


def _is_member(step: str | int) -> bool:
    """Whether pydantic calls a member of a union so: `bool`, `AffinitySettings`, `tuple[str, ...]`."""
    return isinstance(step, str) and (step == "bool" or step[:1].isupper() or "[" in step[1:])


def nearest_hint(word: str, known: Iterable[str], *, only_near: bool = False) -> str:
    """`did you mean …?`, or the list of what is known where nothing is near."""
    names = sorted(known)
    lower = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), lower, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{lower[near[0]]}`?"
    if only_near or not names:
        return ""
    return "known here are " + ", ".join(f"`{name}`" for name in names)


def known_keys(path: KeyPath) -> tuple[str, ...]:
    """The keys that the settings model has below `path`."""
    here: Any = Settings
    for step in path:
        here = _child(here, step)
    model = _model(here)
    if model is None:
        return ()
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _shown(document: Document, path: KeyPath, value: object, *, whole: bool) -> str:
    """The value as written, unless it may be secret: from a variable, or in a `whole` mapping's place."""
    if path in document.expanded:
        return ", not what its variable has"
    if isinstance(value, str) and not whole:
        return f", not `{value}`" if len(value) <= 60 and not _holds_secret(path) else ""
    return f", not {KINDS[type(value)]}" if type(value) in KINDS else ""


def _holds_secret(path: KeyPath) -> bool:
    return not {"api_key", "api_keys", "headers", "env", "key", "keys"}.isdisjoint(path)


def _literals(expected: str) -> list[str]:
    return [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]


def _child(annotation: Any, step: str | int) -> Any:
    model = _model(annotation)
    if model is not None:
        return next(
            (field.annotation for name, field in model.model_fields.items() if step in (name, field.alias)),
            None,
        )
    for option in _options(annotation):
        arguments = get_args(option)
        if arguments:
            is_mapping = isinstance(get_origin(option), type) and issubclass(get_origin(option), Mapping)
            return arguments[1] if is_mapping and len(arguments) > 1 else arguments[0]
    return None


def _model(annotation: Any) -> type[BaseModel] | None:
    for option in _options(annotation):
        if isinstance(option, type) and get_origin(option) is None and issubclass(option, BaseModel):
            return option
    return None


def _options(annotation: Any) -> tuple[Any, ...]:
    """The members of `A | None` without `None`, and what `Annotated` wraps."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(inner for option in get_args(annotation) for inner in _options(option))
    return () if annotation in (None, type(None)) else (annotation,)
