"""The known traps of converting chat protocols, and the tests that hold each of them: none may vanish."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TRAPS: dict[str, tuple[str, ...]] = {
    "system text, its forms and places": ("test_only_what_is_reported_or_listed_changes_its_meaning",),
    "roles that have to alternate": ("test_a_turn_of_nothing_but_foreign_thoughts_goes",),
    "ids of calls": (
        "test_calls_without_ids_get_new_ones_from_the_answers_id",
        "test_two_calls_in_each_dialect",
    ),
    "calls without results, results without calls": (
        "test_any_history_becomes_one_that_providers_take",
        "test_a_random_history_becomes_a_valid_one",
    ),
    "arguments: text, objects, empty, no JSON": (
        "test_two_calls_in_each_dialect",
        "test_free_text_of_a_custom_call_is_an_object",
    ),
    "tool choice": (
        "test_every_tool_choice_comes_back",
        "test_a_tool_that_another_provider_runs_goes_with_its_choice",
    ),
    "dialects of JSON Schema": ("test_fits_openai_strict", "test_strict_goes_along_where_the_schema_fits"),
    "clients' built-in tools": ("test_free_text_tools_and_namespaces_become_functions",),
    "images, documents, within results too": (
        "test_images_within_results",
        "test_a_document_is_one_in_each_protocol",
    ),
    "blank text, trailing whitespace": (
        "test_blank_texts_and_what_becomes_empty_with_them",
        "test_trailing_whitespace_stays_within_the_conversation",
    ),
    "thinking and its budgets": (
        "test_a_converted_budget_leaves_room_for_the_answer",
        "test_more_budget_is_never_less_effort",
    ),
    "signatures go to their maker only": (
        "test_a_signature_survives_two_hubs",
        "test_a_wrapped_signature_never_passes_through_to_a_provider",
    ),
    "cache hints, stable prefixes": (
        "test_at_most_four_breakpoints_the_last_ones",
        "test_the_same_history_gives_the_same_bytes",
    ),
    "limits and temperatures": ("test_a_ratio_leads_to_no_temperature_that_nobody_takes", "test_temperature"),
    "structured output": ("test_output_formats", "test_an_output_format_for_older_models_is_a_tool"),
    "stop sequences, seed and the like": ("test_what_has_no_counterpart_is_reported",),
    "the Responses API's items and state": (
        "test_compacting_by_a_target_that_cannot",
        "test_reasoning_models_are_asked_for_their_ciphertext",
    ),
    "stop reasons": (
        "test_stop_reasons_of_the_api",
        "test_a_turn_with_calls_is_no_end_whatever_a_compatible_server_says",
    ),
    "usage": (
        "test_usage_wherever_it_stands",
        "test_usage_only_for_those_who_asked",
        "test_streams_always_ask_for_usage",
    ),
    "parallel calls in streams": ("test_two_calls_in_each_dialect",),
    "order of blocks": ("test_the_official_accumulator_rebuilds_the_answer_from_the_stream",),
    "framing": ("test_byte_by_byte_with_every_line_end", "test_sse_takes_any_bytes_in_any_chunks"),
    "pings and silence": ("test_silence_is_filled_with_signs_of_life",),
    "failures in mid-stream": ("test_a_failure_in_a_stream_is_told_as_one",),
    "a client that goes away": ("test_a_client_that_leaves_a_stream_closes_the_upstream",),
    "errors in the client's shape": (
        "test_an_error_before_the_stream_keeps_its_message_and_class",
        "test_no_group",
    ),
    "headers and keys": (
        "test_hop_by_hop_headers_stay_and_limits_pass",
        "test_a_key_in_every_place",
        "test_nothing_leaks",
    ),
    "a stream for JSON, JSON for a stream": (
        "test_a_client_that_wants_json_gets_it_from_an_upstream_that_streams",
        "test_a_client_that_wants_a_stream_gets_it_from_an_upstream_that_answers_whole",
    ),
    "counting tokens": ("test_tokens_are_counted_by_the_upstream_or_estimated",),
    "model lists": ("test_one_model", "test_model_lists", "test_model_lists_are_told_apart_by_headers"),
    "tools in the prompt, calls in the text": (
        "test_calls_and_results_go_back_as_text_and_the_prefix_stays",
    ),
}


@pytest.fixture(scope="module")
def tests() -> frozenset[str]:
    sources = [path.read_text(encoding="utf-8") for path in ROOT.glob("**/test_*.py")]
    return frozenset(name for source in sources for name in re.findall(r"def (test_\w+)\(", source))


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_has_its_tests(trap: str, tests: frozenset[str]) -> None:
    assert TRAPS[trap]
    assert not {*TRAPS[trap]} - tests
