"""Links to sources at a text, from one of OpenAI's protocols to the other; all else stays where it is."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.assemble import Assembler
from adapters.canonical import ChatResponse, Choice, FinishReason, Text
from adapters.citations import in_answer, restated
from adapters.registry import codec
from adapters.replay import replay
from tests.adapters.matrix import sdk
from tests.adapters.matrix.cases import reply
from tests.adapters.matrix.convert import decode_stream, plain

SAID = {"start_index": 2, "end_index": 4, "title": "A", "url": "https://example.com/a"}
CHAT_LINK = {"type": "url_citation", "url_citation": SAID}
FLAT_LINK = {"type": "url_citation", **SAID}
FILE = {"type": "file_citation", "file_id": "f", "filename": "a", "index": 0}
LINKS = {"openai": CHAT_LINK, "openai-responses": FLAT_LINK}


@pytest.mark.parametrize(
    ("made_by", "client"), [("openai", "openai-responses"), ("openai-responses", "openai")]
)
def test_links_are_told_and_nothing_is_reported(made_by: str, client: str) -> None:
    text = Text("a source", {made_by: {"annotations": [LINKS[made_by]]}})
    answer = ChatResponse("x", "m", (Choice((text,), FinishReason("stop")),))
    document, losses = codec(client).encode_response(answer, reply(client, "text"))
    assert not [loss for loss in losses if loss.code == "annotations"]
    assert not sdk.answer_errors(client, plain(document))
    encoder = codec(client).stream_encoder(reply(client, "text", stream=True))
    # as it comes from an upstream's stream
    theirs = codec(made_by).stream_encoder(reply(made_by, "text", stream=True)).encode(replay(answer))
    streamed = encoder.encode(decode_stream(made_by, theirs))
    assert not [loss for loss in encoder.losses.taken() if loss.code == "annotations"]
    for got in (plain(document), sdk.rebuilt(client, streamed)):
        assert _links(client, got) == [LINKS[client]]
    assembler = Assembler()
    assembler.feed(decode_stream(client, streamed))
    assert assembler.response is not None


def _links(client: str, answer: Any) -> list[Any]:
    if client == "openai":
        found = answer["choices"][0]["message"]["annotations"]
        return [{key: value for key, value in one.items() if key != "index"} for one in found]
    return list(answer["output"][0]["content"][0]["annotations"])


def test_places_count_from_the_start_of_a_message() -> None:
    parts = (Text("12345"), Text("a source", {"openai-responses": {"annotations": [FLAT_LINK]}}))
    answer = ChatResponse("x", "m", (Choice(parts, FinishReason("stop")),))
    (choice,) = in_answer(answer, "openai").choices
    (link,) = choice.parts[1].extensions["openai"]["annotations"]  # type: ignore[union-attr]
    assert (link["url_citation"]["start_index"], link["url_citation"]["end_index"]) == (7, 9)


def test_files_stay_with_their_provider() -> None:
    given = {"openai-responses": {"annotations": [FILE, FLAT_LINK], "logprobs": []}}
    told = restated(given, "openai")
    assert told["openai-responses"] == {"annotations": [FILE], "logprobs": []}
    assert told["openai"]["annotations"] == [CHAT_LINK]


@pytest.mark.parametrize("odd", [None, "x", [None], [{"type": "url_citation"}], [{"url_citation": 1}]])
def test_what_is_no_link_is_left_alone(odd: Any) -> None:
    for other, mine in (("openai", "openai-responses"), ("openai-responses", "openai")):
        given = {other: {"annotations": odd}}
        assert restated(given, mine) == given
