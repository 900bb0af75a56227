"""No field of the official request types is without a decision, and every decision is what happens."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from google.genai import types as genai

from tests.adapters.matrix import answer_fields, document, fields
from tests.adapters.matrix.cases import PROTOCOLS

SDK_ONLY = frozenset(
    {
        "httpOptions",
        "shouldReturnHttpResponse",
        "automaticFunctionCalling",
        "continuationToken",
        "automaticContinuation",
        "modelArmorConfig",
        "generationOutputConfig",
    }
)
"""Of Gemini's SDK: what it does itself, and what only Vertex AI's own API has."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_field_has_the_decision_that_an_experiment_shows(protocol: str) -> None:
    """A new field of an SDK, or another fate of an old one, fails here."""
    decided, tried = fields.decided()[protocol], fields.tried()[protocol]
    assert decided.keys() == tried.keys()
    for kind, found in tried.items():
        assert decided[kind] == found, f"{protocol}.{kind}"


def test_whatever_is_silent_has_a_reason_and_every_reason_is_needed() -> None:
    silent = {
        f"{protocol}.{kind}.{field}"
        for protocol, kinds in fields.tried().items()
        for kind, found in kinds.items()
        for field, decision in found.items()
        if decision == "silent"
    }
    patterns = fields.notes()
    assert not [name for name in silent if not any(fnmatchcase(name, one) for one in patterns)]
    assert not [one for one in patterns if not any(fnmatchcase(name, one) for name in silent)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_field_of_an_answer_has_the_decision_that_an_experiment_shows(protocol: str) -> None:
    decided, tried = answer_fields.decided()[protocol], answer_fields.tried()[protocol]
    assert decided.keys() == tried.keys()
    for kind, found in tried.items():
        assert decided[kind] == found, f"{protocol}.{kind}"


def test_whatever_an_answer_does_not_tell_has_a_reason_and_every_reason_is_needed() -> None:
    untold = answer_fields.untold(answer_fields.tried())
    assert not [name for name in untold if answer_fields.reason(name) is None]
    used = {answer_fields.reason(name) for name in untold}
    assert not {*answer_fields.reasons().values()} - used


def test_gemini_sdk_fields_stand_somewhere_on_the_wire() -> None:
    """The SDK's flat configuration is spread over the request and its `generationConfig`."""
    known = {*fields.members(fields.GeminiRequest), *fields.members(genai.GenerationConfig)}
    flat = set(fields.members(genai.GenerateContentConfig))
    assert not flat - known - SDK_ONLY - {"imageConfig"}


def test_the_page_is_current() -> None:
    assert document.PAGE.read_text(encoding="utf-8") == document.page(), (
        "python -m tests.adapters.matrix.document"
    )
