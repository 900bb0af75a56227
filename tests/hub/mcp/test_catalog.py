"""Names and URIs: unique, stable, short enough, and never guessed from their spelling."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.catalog import LONGEST_NAME, Catalog, Names, UriTable, View
from hub.downstream import Listing
from hub.settings.mcp import ProfileSettings

ALLOWED = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
words = st.text("ab_-.é/", min_size=1, max_size=6)
server_names = st.lists(words, min_size=1, max_size=5, unique=True)


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


def listing(*tools: str, **more: Any) -> Listing:
    return Listing(tools=tuple(tool(name) for name in tools), **more)


def test_plain_names() -> None:
    names = Names(["git", "time-zone"])
    assert names.public("git", "status") == "git_status"
    assert names.public("time-zone", "now_UTC") == "time-zone_now_UTC"


def test_a_and_b_c_is_not_a_b_and_c() -> None:
    catalog = Catalog.build(["a", "a_b"], {"a": listing("b_c", "c"), "a_b": listing("c")}, {})
    found = {(item.server, item.original): item.public for item in catalog.everything.tools}
    assert found["a_b", "c"] == "a_b_c"
    assert found["a", "c"] == "a_c"
    assert re.fullmatch(r"a_b_c_[0-9a-f]{8}", found["a", "b_c"])
    for place, public in found.items():
        item = catalog.everything.tool_by_name[public]
        assert (item.server, item.original) == place


def test_names_do_not_depend_on_which_servers_are_up() -> None:
    up = Catalog.build(["a", "a_b"], {"a": listing("b_c"), "a_b": listing("c")}, {})
    down = Catalog.build(["a", "a_b"], {"a": listing("b_c")}, {})
    assert down.everything.tools[0].public == up.everything.tools[0].public


def test_long_and_odd_names_are_shortened_by_a_hash_and_stay_apart() -> None:
    names = Names(["server"])
    long = [names.public("server", "x" * 80 + end) for end in ("1", "2")]
    odd = [names.public("server", name) for name in ("a.b", "a/b", "a b", "a_b")]
    assert all(ALLOWED.match(name) for name in long + odd)
    assert len(set(long + odd)) == 6
    assert odd[3] == "server_a_b"
    assert len(long[0]) == LONGEST_NAME
    # A name that people have in their settings must not change with a release.
    assert odd[0] == "server_a_b_bc3dddaa"


@given(server_names, st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=8, unique=True))
def test_every_tool_of_every_server_has_a_name_of_its_own(servers: list[str], tools: list[str]) -> None:
    catalog = Catalog.build(servers, {server: listing(*tools) for server in servers}, {})
    publics = [item.public for item in catalog.everything.tools]
    assert len(set(publics)) == len(publics) == len(servers) * len(tools)
    assert all(ALLOWED.match(name) for name in publics)
    for item in catalog.everything.tools:
        assert catalog.everything.tool_by_name[item.public] is item


@given(server_names, st.text(max_size=40), st.data())
def test_every_uri_of_every_server_comes_back(servers: list[str], uri: str, data: st.DataObject) -> None:
    catalog = Catalog.build(servers, {}, {})
    server = data.draw(st.sampled_from(servers))
    for original in (uri, "ui://" + uri):
        public = catalog.everything.uris[server].public(original)
        assert catalog.everything.find_uri(public) == (server, original)


def test_one_server_alone_keeps_its_names_and_uris() -> None:
    resource = {"uri": "test://x", "name": "x"}
    catalog = Catalog.build(["s"], {"s": listing("a.b", "x" * 90, resources=(resource,))}, {})
    view = catalog.by_name["s"]
    assert [item.public for item in view.tools] == ["a.b", "x" * 90]
    assert view.resources == (resource,)
    assert view.find_uri("anything at all") == ("s", "anything at all")


def test_pointers_to_ui_resources_follow_their_resource() -> None:
    meta = {"ui": {"resourceUri": "ui://app/main.html", "other": 1}, "ui/resourceUri": "ui://app/main.html"}
    given_tool = tool("t", _meta=meta)
    catalog = Catalog.build(["s"], {"s": Listing(tools=(given_tool,))}, {})
    (item,) = catalog.everything.tools
    public = "ui://s/app/main.html"
    assert item.definition["_meta"] == {
        "ui": {"resourceUri": public, "other": 1},
        "ui/resourceUri": public,
    }
    assert catalog.everything.find_uri(public) == ("s", "ui://app/main.html")
    assert given_tool["_meta"]["ui"]["resourceUri"] == "ui://app/main.html", "the original is not changed"


def test_profiles_filter_servers_and_tools() -> None:
    listings = {
        "a": listing("read", "write_file", resources=({"uri": "x://1", "name": "1"},)),
        "b": listing("read", prompts=({"name": "p"},)),
    }
    profiles = {
        "all": ProfileSettings(),
        "a": ProfileSettings(servers="a", tools={"exclude": "*_write_*"}),
        "reads": ProfileSettings(tools={"include": ["*_read"]}),
    }
    catalog = Catalog.build(["a", "b"], listings, profiles)
    names = {name: [item.public for item in view.tools] for name, view in catalog.by_name.items()}
    assert names == {
        "all": ["a_read", "a_write_file", "b_read"],
        "a": ["a_read"],
        "b": ["read"],
        "reads": ["a_read", "b_read"],
    }
    assert catalog.by_name["a"].resources == ({"uri": "hub://a/x://1", "name": "1"},)
    assert catalog.by_name["a"].prompts == ()
    assert catalog.by_name["a"].find_uri("hub://b/x://1") is None
    assert [item.public for item in catalog.by_name["reads"].prompts] == ["b_p"]


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (View(), View(), ()),
        (View(), View(resources=({"uri": "a"},)), ("resources",)),
        (View(), View(templates=({"uriTemplate": "a"},)), ("resources",)),
        (View(instructions="x"), View(), ()),
    ],
)
def test_changed_kinds(before: View, after: View, kinds: tuple[str, ...]) -> None:
    assert after.changed_kinds(before) == kinds


def test_a_changed_definition_is_a_change() -> None:
    one = Catalog.build(["s"], {"s": Listing(tools=(tool("t", description="1"),))}, {})
    two = Catalog.build(["s"], {"s": Listing(tools=(tool("t", description="2"),))}, {})
    assert two.everything.changed_kinds(one.everything) == ("tools",)
    assert two.by_name["s"].changed_kinds(one.by_name["s"]) == ("tools",)


def test_a_name_that_is_listed_twice_is_shown_once() -> None:
    catalog = Catalog.build(["s"], {"s": listing("t", "t")}, {})
    assert len(catalog.everything.tools) == len(catalog.by_name["s"].tools) == 1


def test_prefixes_do_not_begin_each_other() -> None:
    tables = [UriTable.shared(name) for name in ("a", "a/b", "a%2Fb", "ab")]
    publics = [table.public("x") for table in tables]
    assert [[table.original(public) is not None for table in tables] for public in publics] == [
        [row == column for column in range(4)] for row in range(4)
    ]
