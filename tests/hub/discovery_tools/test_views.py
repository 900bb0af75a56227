"""What profiles make of tools: which are shown, under which names, listed or to be found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.catalog import Catalog, View, narrow
from hub.downstream import Listing
from hub.settings import load_settings
from hub.settings.mcp import RESERVED_TOOL_NAMES, DiscoverySettings, ProfileSettings

ALLOWED = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": f"What {name} does.", "inputSchema": {"type": "object"}, **more}


def profile(**settings: Any) -> ProfileSettings:
    return ProfileSettings.model_validate(settings)


def view(listings: dict[str, list[dict[str, Any]]], **settings: Any) -> View:
    listed = {name: Listing(tools=tuple(tools)) for name, tools in listings.items()}
    return Catalog.build([*listings], listed, {"p": profile(**settings)}).by_name["p"]


def publics(view: View) -> dict[str, str]:
    return {f"{item.server}/{item.original}": item.public for item in view.tools}


# ---------------------------------------------------------------- hints

HINTED = {
    "silent": {},
    "no_hints": {"annotations": {}},
    "odd": {"annotations": {"readOnlyHint": "yes", "destructiveHint": None}},
    "reads": {"annotations": {"readOnlyHint": True}},
    "reads_and_destroys": {"annotations": {"readOnlyHint": True, "destructiveHint": True}},
    "adds": {"annotations": {"readOnlyHint": False, "destructiveHint": False}},
    "destroys": {"annotations": {"destructiveHint": True}},
}
"""destructiveHint "is meaningful only when readOnlyHint == false", defaults: true and false."""


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ({}, set(HINTED)),
        ({"read_only": True}, {"reads", "reads_and_destroys"}),
        ({"read_only": False}, {"silent", "no_hints", "odd", "adds", "destroys"}),
        ({"destructive": False}, {"reads", "reads_and_destroys", "adds"}),
        ({"destructive": True}, {"silent", "no_hints", "odd", "destroys"}),
        ({"destructive": False, "read_only": False}, {"adds"}),
        ({"destructive": False, "exclude": "*_adds"}, {"reads", "reads_and_destroys"}),
    ],
)
def test_hints(filters: dict[str, Any], shown: set[str]) -> None:
    tools = [tool(name, **more) for name, more in HINTED.items()]
    found = view({"s": tools}, tools=filters)
    assert {item.original for item in found.tools} == shown
    assert {hidden.item.original for hidden in found.hidden} == set(HINTED) - shown


def test_why_a_tool_is_hidden() -> None:
    tools = [tool("a"), tool("b"), tool("c", annotations={"readOnlyHint": True}), tool("d")]
    settings = {
        "servers": "x",
        "tools": {"include": ["x_a", "x_b", "x_c"], "exclude": "*_b", "read_only": True},
    }
    found = view({"x": tools, "y": [tool("a")]}, **settings)
    assert {f"{h.item.server}/{h.item.original}": h.reason for h in found.hidden} == {
        "x/a": "tools.read_only",
        "x/b": "tools.exclude",
        "x/d": "tools.include",
        "y/a": "servers",
    }


# ---------------------------------------------------------------- names and descriptions


def test_renamed_tools_are_called_by_their_new_names() -> None:
    found = view({"x": [tool("a"), tool("b")]}, tools={"rename": {"x_a": "first"}})
    assert publics(found) == {"x/a": "first", "x/b": "x_b"}
    item = found.tool_by_name["first"]
    assert (item.original, item.shared, item.definition["name"]) == ("a", "x_a", "first")
    assert "x_a" not in found.tool_by_name
    assert [definition["name"] for definition in found.listed] == ["first", "x_b"]


def test_two_tools_can_change_names() -> None:
    found = view({"x": [tool("a"), tool("b")]}, tools={"rename": {"x_a": "x_b", "x_b": "x_a"}})
    assert publics(found) == {"x/a": "x_b", "x/b": "x_a"}


@pytest.mark.parametrize("up", [True, False])
def test_who_has_the_name_already_gives_way_in_the_same_way_each_time(up: bool) -> None:
    """Whether the renamed tool is up or not: names are stable."""
    found = view({"x": [tool("a")] if up else [], "y": [tool("b")]}, tools={"rename": {"x_a": "y_b"}})
    assert publics(found)["y/b"] == "y_b_4fc82db5" == found.tool_by_name["y_b_4fc82db5"].public
    assert len(found.tool_by_name) == len(found.tools)


def test_long_names() -> None:
    tools = [tool("x" * 40 + end) for end in "ab"] + [tool("short")]
    found = view({"server": tools}, tools={"longest_name": 30})
    assert all(len(name) <= 30 and ALLOWED.match(name) for name in found.tool_by_name)
    assert len(found.tool_by_name) == 3
    assert "server_short" in found.tool_by_name


@given(
    st.lists(st.text("ab_", min_size=1, max_size=4), min_size=1, max_size=6, unique=True),
    st.dictionaries(
        st.text("ab_", min_size=3, max_size=6), st.text("ab_", min_size=1, max_size=6), max_size=5
    ),
    st.integers(24, 64),
)
def test_every_tool_has_a_name_of_its_own(tools: list[str], rename: dict[str, str], longest: int) -> None:
    unique = {new: old for old, new in rename.items()}
    settings = {"rename": {old: new for new, old in unique.items()}, "longest_name": longest}
    found = view({"a": [tool(name) for name in tools], "a_b": [tool(name) for name in tools]}, tools=settings)
    assert len(found.tool_by_name) == len(found.tools) == 2 * len(tools)
    assert all(ALLOWED.match(name) and len(name) <= longest for name in found.tool_by_name)


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ({"rename": {"a": "x", "b": "x"}}, "two tools cannot both be called `x`"),
        ({"rename": {"a": "find_tools"}}, "`find_tools` is a tool of the hub itself"),
        ({"rename": {"a": "has space"}}, "pattern"),
        ({"rename": {"a": "x" * 65}}, "pattern"),
        ({"rename": {"a": "x" * 31}, "longest_name": 30}, "longer than 30 characters"),
        ({"longest_name": 10}, "greater than or equal to 24"),
    ],
)
def test_names_that_cannot_be_are_problems_of_the_settings(tools: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        profile(tools=tools)


def test_no_tool_takes_the_names_of_the_tools_for_finding_tools() -> None:
    found = view({"find": [tool("tools")], "call": [tool("tool")]})
    assert not RESERVED_TOOL_NAMES & set(found.tool_by_name)
    assert [re.sub("[0-9a-f]{8}$", "#", name) for name in found.tool_by_name] == [
        "find_tools_#",
        "call_tool_#",
    ]


def test_descriptions() -> None:
    describe = {"x_a": "Quite another.", "x_*": "First: {description} Last.", "*": "never for x"}
    found = view(
        {"x": [tool("a"), tool("b"), tool("c", description=None)], "y": [tool("a")]},
        tools={"describe": describe},
    )
    assert [item.definition["description"] for item in found.tools] == [
        "Quite another.",
        "First: What b does. Last.",
        "First:  Last.",
        "never for x",
    ]


# ---------------------------------------------------------------- listed or searched


def names(view: View) -> list[str]:
    return [definition["name"] for definition in view.listed]


def test_search_lists_three_tools_and_the_pinned_ones() -> None:
    found = view({"x": [tool("a"), tool("b")], "y": [tool("a")]}, discovery="search", pinned="x_*")
    assert names(found) == ["find_tools", "describe_tool", "call_tool", "x_a", "x_b"]
    assert found.searched
    assert "x (2), y (1)" in found.listed[0]["description"]
    assert set(found.tool_by_name) == {"x_a", "x_b", "y_a"}, "the others can still be called"
    assert found.input_schema("call_tool") == found.listed[2]["inputSchema"]


def test_pinned_means_the_name_on_mcp() -> None:
    settings = {"discovery": "search", "pinned": "x_a", "tools": {"rename": {"x_a": "new"}}}
    assert names(view({"x": [tool("a")]}, **settings))[3:] == ["new"]


def test_auto_switches_at_the_threshold_and_clients_would_see_it() -> None:
    tools = [tool("a"), tool("b")]
    size = sum(len(json.dumps({**t, "name": f"x_{t['name']}"}, separators=(",", ":"))) for t in tools)
    below = view({"x": tools}, discovery="auto", discovery_threshold=size)
    above = view({"x": tools}, discovery="auto", discovery_threshold=size - 1)
    assert (below.searched, above.searched) == (False, True)
    assert names(below) == ["x_a", "x_b"]
    assert names(above) == ["find_tools", "describe_tool", "call_tool"]
    assert above.changed_kinds(below) == ("tools",)


def test_integers_of_any_size_are_counted() -> None:
    found = view({"x": [tool("a", _meta={"n": 10**30})]}, discovery="auto", discovery_threshold=1)
    assert found.searched


def test_what_nobody_sees_is_no_change() -> None:
    """A definition behind the search may change without a word; the numbers of tools in the list may not."""
    one = view({"x": [tool("a")]}, discovery="search")
    assert view({"x": [tool("a", description="new")]}, discovery="search").changed_kinds(one) == ()
    assert view({"x": [tool("a"), tool("b")]}, discovery="search").changed_kinds(one) == ("tools",)


def test_a_key_finds_what_it_may_use() -> None:
    whole = view(
        {"x": [tool("a"), tool("b")], "y": [tool("a")]}, discovery="search", tools={"exclude": "x_b"}
    )
    part = narrow(whole, None, ("x_*",))
    assert publics(part) == {"x/a": "x_a"}
    assert part.searched
    assert "x (1)." in part.listed[0]["description"]
    assert "y" not in part.uris
    reasons = {f"{hidden.item.server}/{hidden.item.original}": hidden.reason for hidden in part.hidden}
    assert reasons == {"x/b": "tools.exclude", "y/a": "the key"}


def test_a_key_with_few_tools_need_not_search() -> None:
    whole = view({"x": [tool(name) for name in "abcdefgh"]}, discovery="auto", discovery_threshold=200)
    part = narrow(whole, None, ("x_a",))
    assert (whole.searched, part.searched) == (True, False)
    assert names(part) == ["x_a"]


def test_discovery_of_mcp_itself() -> None:
    listings = {"x": Listing(tools=(tool("a"),))}
    catalog = Catalog.build(["x"], listings, {}, discovery=DiscoverySettings(discovery="search"))
    assert names(catalog.everything) == ["find_tools", "describe_tool", "call_tool"]
    assert names(catalog.by_name["x"]) == ["a"], "a server alone is shown as it is"


def test_fifty_servers_of_forty_tools_are_listed_in_eight_kilobytes() -> None:
    listings = {f"quite-long-name-of-service-{n}": [tool(f"tool_{i}") for i in range(40)] for n in range(50)}
    found = view(listings, discovery="search")
    assert len(found.tools) == 2000
    assert len(json.dumps({"tools": found.listed})) < 8000


def test_of_very_many_servers_some_are_named() -> None:
    found = view({f"service-{n}": [tool("x")] for n in range(500)}, discovery="search")
    assert len(json.dumps({"tools": found.listed})) < 8000
    assert re.search(r"service-99 \(1\).* and \d+ more\.$", found.listed[0]["description"])


# ---------------------------------------------------------------- in a settings file


def test_names_of_no_tool_are_noted(tmp_path: Path) -> None:
    settings = {
        "mcpServers": {"git": {"command": "git-server"}},
        "pinned": "gti_status",
        "profiles": {
            "p": {
                "pinned": ["git_status", "g*", "ask_kimi", "files_*"],
                "tools": {
                    "rename": {"git_log": "log", "log": "git_log"},
                    "describe": {"*": "x", "[ab]_y": "y"},
                },
            }
        },
    }
    path = tmp_path / "hub.yaml"
    path.write_text(json.dumps(settings))
    notes = load_settings(path, environ={}).notes
    assert [note.partition(" is the name of no tool")[0] for note in notes] == [
        "pinned: `gti_status`",
        "profiles.p.pinned: `files_*`",
        "profiles.p.tools.rename: `log`",
    ]


def test_a_profile_in_a_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text(
        "mcpServers: {a: {command: a-server}}\ndiscovery: auto\ndiscovery_threshold: 1.5KB\n"
        "profiles:\n"
        "  p: {discovery: search, pinned: a_*, tools: {read_only: true, destructive: '${D:-false}'}}\n"
    )
    settings = load_settings(path, environ={}).settings
    assert (settings.discovery, settings.discovery_threshold, settings.pinned) == ("auto", 1500, ())
    found = settings.profiles["p"]
    assert (found.discovery, found.discovery_threshold, found.pinned) == ("search", 40_000, ("a_*",))
    assert (found.tools.read_only, found.tools.destructive) == (True, False)
