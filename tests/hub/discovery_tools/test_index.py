"""The full-text index: what finds what, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.discovery_tools.index import ToolIndex


def tool(name: str, description: str = "", **arguments: str) -> dict[str, Any]:
    properties = {key: {"type": "string", "description": text} for key, text in arguments.items()}
    return {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": properties},
    }


TOOLS = (
    tool(
        "github_create_issue",
        "Open a new ticket in a repository.",
        title="Its heading.",
        labels="Marks on it.",
    ),
    tool("github_list_repositories", "All repositories of an owner."),
    tool("files_readFile", "The content of one file.", path="Where it is."),
    tool("files_delete_directory", "Removes a folder with all that is in it."),
    tool("weather_forecast", "Vorhersage für Städte in der Übersicht.", city="A place, such as Zürich."),
    tool("notes_search", "在笔记中搜索文字。"),
    tool("calendar_events", "Meetings and appointments of a day. It does not create an issue."),
)
INDEX = ToolIndex(TOOLS)


def names(query: str) -> list[str]:
    return [TOOLS[place]["name"] for place in INDEX.search(query).places]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("create issue", "github_create_issue"),
        ("Creating ISSUES", "github_create_issue"),
        ("repository list", "github_list_repositories"),
        ("repo", "github_list_repositories"),
        ("read file", "files_readFile"),
        ("readFile", "files_readFile"),
        ("files_readFile", "files_readFile"),
        ("labels", "github_create_issue"),
        ("heading", "github_create_issue"),
        ("stadte", "weather_forecast"),
        ("Zürich", "weather_forecast"),
        ("搜索", "notes_search"),
        ("please use the tool that can show me appointments", "calendar_events"),
        ('"; DROP TABLE tools; -- forecast', "weather_forecast"),
        ("forecast OR NOT ( AND *", "weather_forecast"),
    ],
)
def test_finds(query: str, first: str) -> None:
    assert names(query)[0] == first


@pytest.mark.parametrize(
    ("query", "first", "read_as"),
    [
        ("forcast", "weather_forecast", ("forcast", "forecast")),
        ("repostory", "github_create_issue", ("repostory", "repository")),
        ("picture", None, None),
        ("erase", "files_delete_directory", ("erase", "delete")),
    ],
)
def test_a_word_that_no_tool_has(query: str, first: str | None, read_as: tuple[str, str] | None) -> None:
    found = INDEX.search(query)
    if first is None:
        assert (found.places, found.read_as, found.unknown) == ((), (), (query,))
    else:
        assert read_as in found.read_as
        assert found.unknown == ()
        assert first in {TOOLS[place]["name"] for place in found.places}


def test_a_name_counts_more_than_a_description() -> None:
    assert names("create issue") == ["github_create_issue", "calendar_events"]


def test_known_words_find_although_others_are_unknown() -> None:
    found = INDEX.search("forecast xylophone")
    assert [TOOLS[place]["name"] for place in found.places] == ["weather_forecast"]
    assert found.unknown == ("xylophone",)


@pytest.mark.parametrize(
    "definition", [{}, {"name": 1}, {"inputSchema": 5}, {"inputSchema": {"properties": []}}]
)
def test_odd_definitions_are_no_obstacle(definition: dict[str, Any]) -> None:
    index = ToolIndex([definition, tool("plain")])
    assert index.search("plain").places == (1,)


@given(st.text(max_size=200))
def test_any_query_has_an_answer(query: str) -> None:
    found = INDEX.search(query)
    assert len(set(found.places)) == len(found.places) <= len(TOOLS)


def test_no_tools() -> None:
    assert ToolIndex([]).search("anything").places == ()
