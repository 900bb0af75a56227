"""Which conversation a request belongs to, and where conversations are remembered."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.conversation import beginning, previous_response, response_id
from routing.affinity import Conversation, Places, conversation
from routing.table import Affinity

USER = {"role": "user", "content": "Hello"}
MODEL = {"role": "assistant", "content": "Hi"}
ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


@pytest.mark.parametrize(
    ("headers", "body", "name"),
    [
        ({b"x-claude-code-session-id": b"s"}, {}, b"hs"),
        ({b"session-id": b"s"}, {}, b"hs"),
        ({b"session_id": b"s"}, {}, b"hs"),
        ({b"x-session-affinity": b"a", b"x-session-id": b"s"}, {}, b"ha"),
        ({b"x-mine": b"m", b"x-session-affinity": b"a"}, {}, b"hm"),
        ({b"session-id": b"s"}, {"prompt_cache_key": "k"}, b"hs"),
        ({b"session-id": b""}, {"prompt_cache_key": "k"}, b"bk"),
        ({}, {"prompt_cache_key": "k"}, b"bk"),
        ({}, {"conversation": "c", "prompt_cache_key": "k"}, b"bc"),
        ({}, {"conversation": {"id": "c"}}, b"bc"),
        ({}, {"metadata": {"user_id": '{"device_id": "d", "session_id": "s"}'}}, b"bs"),
        ({}, {"metadata": {"user_id": "user_1_account__session_s"}}, b"bs"),
        ({}, {"metadata": {"user_id": "somebody"}}, None),
        ({}, {"metadata": {"user_id": '{"session_id": 7}'}}, None),
        ({}, {"metadata": {"user_id": "{broken"}}, None),
        ({}, {"metadata": "text", "prompt_cache_key": 7, "conversation": []}, None),
        ({}, {"user": "somebody"}, None),
        ({}, {}, None),
    ],
)
def test_what_names_a_conversation(
    headers: dict[bytes, bytes], body: dict[str, Any], name: bytes | None
) -> None:
    found = conversation(headers, body, Affinity(header="x-mine"))
    assert (found.name if found else None) == name
    assert found is None or found.began


GROWING: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "openai": (
        [
            {"messages": [{"role": "system", "content": "S"}, USER]},
            {"messages": [{"role": "system", "content": "S"}, USER, MODEL, USER]},
        ],
        True,
    ),
    "anthropic": (
        [{"system": "S", "messages": [USER]}, {"system": "S", "messages": [USER, MODEL, USER]}],
        True,
    ),
    "responses": (
        [
            {"instructions": "S", "input": [ITEM]},
            {"instructions": "S", "input": [ITEM, {"type": "function_call", "name": "f"}, ITEM]},
        ],
        True,
    ),
    "gemini": (
        [
            {"systemInstruction": {"parts": []}, "contents": [{"role": "user", "parts": []}]},
            {
                "systemInstruction": {"parts": []},
                "contents": [{"role": "user", "parts": []}, {"role": "model", "parts": []}],
            },
        ],
        True,
    ),
    "another system prompt": (
        [{"system": "S", "messages": [USER]}, {"system": "T", "messages": [USER]}],
        False,
    ),
    "another first question": (
        [{"messages": [USER]}, {"messages": [{"role": "user", "content": "Bye"}]}],
        False,
    ),
}


@pytest.mark.parametrize(("bodies", "same"), GROWING.values(), ids=GROWING)
def test_a_conversation_is_known_by_its_beginning(bodies: list[dict[str, Any]], same: bool) -> None:
    first, second = (beginning(body) for body in bodies)
    assert first is not None
    assert second is not None
    assert (first[0] == second[0]) is same
    assert not first[1]
    assert second[1] is same


@pytest.mark.parametrize(
    "body", [{}, {"input": "Hello"}, {"messages": []}, {"messages": "x"}, {"contents": 7}]
)
def test_without_turns_there_is_no_beginning(body: dict[str, Any]) -> None:
    assert beginning(body) is None
    assert conversation({}, body, Affinity()) is None


def test_beginnings_need_not_be_looked_at() -> None:
    assert conversation({}, {"messages": [USER]}, Affinity(prefix=False)) is None
    found = conversation({}, {"messages": [USER]}, Affinity())
    assert isinstance(found, Conversation)
    assert not found.began


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"id":"resp_1","object":"response"}', "resp_1"),
        (b'data: {"type":"response.created","response":{"id": "resp_ab"}}\n\n', "resp_ab"),
        (b'{"id":"chatcmpl-1"}', None),
        (b'{"id":"resp_cut', None),
        (b"", None),
    ],
)
def test_the_id_of_an_answer(data: bytes, found: str | None) -> None:
    assert response_id(data) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [({"previous_response_id": "resp_1"}, "resp_1"), ({"previous_response_id": None}, None), ({}, None)],
)
def test_the_answer_that_is_continued(body: dict[str, Any], found: str | None) -> None:
    assert previous_response(body) == found


PLACE = ("p", "m", "key")


def test_places_expire() -> None:
    now = 0.0
    places = Places(lambda: now)
    places.put(b"c", PLACE, 10.0)
    now = 9.9
    assert places.find(b"c") == PLACE
    now = 10.0
    assert places.find(b"c") is None
    assert len(places) == 0


def test_places_are_bounded_and_the_oldest_use_goes_first() -> None:
    places = Places(lambda: 0.0, most=3)
    for name in (b"a", b"b", b"c"):
        places.put(name, PLACE, 10.0)
    assert places.find(b"a") == PLACE
    places.put(b"d", PLACE, 10.0)
    assert places.find(b"b") is None
    assert [places.find(name) for name in (b"a", b"c", b"d")] == [PLACE] * 3
