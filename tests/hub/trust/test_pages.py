"""Results in pieces: nothing is lost, no piece is larger than it may be, and nobody reads another's."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.exceptions import MCPError

from hub.trust.pages import ADDRESS, CUT_META, Pages

TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=400), min_size=1, max_size=6)


@given(TEXTS, st.integers(4, 300))
def test_all_text_arrives_in_pieces_of_the_right_size(texts: list[str], limit: int) -> None:
    result = {"content": [{"type": "text", "text": text} for text in texts]}
    pages = Pages()
    cut = pages.cut("t", result, limit, "me")
    if len(orjson.dumps(result)) <= limit:
        assert cut is result
        return
    shown = [block["text"] for block in cut["content"][:-1]]
    assert sum(len(text.encode()) for text in shown) <= limit
    read, rest = "", cut["_meta"][CUT_META].get("rest")
    while rest is not None:
        piece, following = pages.read(rest, "me")
        assert len(piece.encode()) <= limit
        assert piece
        read, rest = read + piece, following
    together = "".join([*shown, read])
    assert together.replace("\n\n", "") == "".join(texts).replace("\n\n", "")


def test_a_rest_is_for_its_owner_and_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    pages = Pages(lambda: now[0])

    def rest(owner: str, size: int = 2000) -> str:
        cut = pages.cut("t", {"content": [{"type": "text", "text": "x" * size}]}, 1000, owner)
        return str(cut["_meta"][CUT_META]["rest"])

    mine = rest("me")
    assert pages.read(mine, "me")[0] == "x" * 1000
    assert pages.read(mine, "me")[0] == "x" * 1000, "again, after a lost answer"
    for token, owner in (
        (mine, "you"),
        (ADDRESS + "guess/0", "me"),
        (mine + "x", "me"),
        (mine + "٣", "me"),
        ("", "me"),
    ):
        with pytest.raises(MCPError, match="call the tool again"):
            pages.read(token, owner)
    now[0] = 901
    with pytest.raises(MCPError):
        pages.read(mine, "me")
    monkeypatch.setattr("hub.trust.pages._MOST_CHARACTERS", 3000)
    first, second = rest("me"), rest("me", 4000)
    assert pages.read(second, "me")
    with pytest.raises(MCPError):
        pages.read(first, "me")


def test_embedded_resources_links_and_meta() -> None:
    content: list[dict[str, Any]] = [
        {"type": "resource_link", "name": "l", "uri": "a://l"},
        {"type": "resource", "resource": {"uri": "a://1", "text": "t" * 900}},
        {"type": "resource", "resource": {"uri": "a://2", "text": "u" * 900}},
        {"type": "resource", "resource": {"uri": "a://3", "blob": "AAAA" * 400, "mimeType": "image/gif"}},
        {"type": "text", "text": "the end"},
    ]
    pages = Pages()
    cut = pages.cut("t", {"content": content, "_meta": {"k": 1}}, 1100, "")
    assert cut["content"][:2] == content[:2]
    assert cut["_meta"]["k"] == 1
    assert "image/gif a://3 of 1,200 bytes" in cut["content"][-1]["text"]
    assert pages.read(cut["_meta"][CUT_META]["rest"], "")[0] == "\n\n[a://2]\n" + "u" * 900 + "\n\nthe end"


@pytest.mark.parametrize("typed", [True, False])
def test_structured_content_that_does_not_fit(typed: bool) -> None:
    result = {"content": [{"type": "text", "text": "see"}], "structuredContent": {"a": "b" * 2000}}
    cut = Pages().cut("t", result, 1000, "", typed=typed)
    assert "structuredContent" not in cut
    assert cut.get("isError", False) is typed
    assert "structured content of 2,008 bytes" in cut["content"][-1]["text"]
    assert result["structuredContent"], "the server's own answer is as it was"
