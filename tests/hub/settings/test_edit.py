"""Changing a settings file in place."""

from __future__ import annotations

import textwrap

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hub.settings.edit import CannotEdit, add_server, remove_server

ENTRY = {"command": "npx", "args": ["-y", "pkg"]}
FLOW = "{command: npx, args: [-y, pkg]}"


def lines(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


ADDED = [
    pytest.param("", f"mcpServers:\n  new: {FLOW}\n", id="empty"),
    pytest.param("# mine\n", f"# mine\nmcpServers:\n  new: {FLOW}\n", id="comment"),
    pytest.param("groups: {}", f"groups: {{}}\n\nmcpServers:\n  new: {FLOW}\n", id="no-section-no-newline"),
    pytest.param(
        "mcpServers:\n  a: {command: x}  # of a\n\n# groups\ngroups: {}\n",
        f"mcpServers:\n  a: {{command: x}}  # of a\n  new: {FLOW}\n\n# groups\ngroups: {{}}\n",
        id="block",
    ),
    pytest.param(
        "mcpServers:\n    a:\n        command: x\n        args:\n        - one\n\nz: 1\n",
        f"mcpServers:\n    a:\n        command: x\n        args:\n        - one\n    new: {FLOW}\n\nz: 1\n",
        id="deep-block",
    ),
    pytest.param(
        "mcpServers:   # none\ngroups: {}\n", f"mcpServers:  # none\n  new: {FLOW}\ngroups: {{}}\n", id="null"
    ),
    pytest.param(
        "mcpServers: {}\n",
        'mcpServers: {"new": {"command": "npx", "args": ["-y", "pkg"]}}\n',
        id="empty-flow",
    ),
    pytest.param(
        "mcpServers: {a: {command: x}}\n", f"mcpServers: {{a: {{command: x}}, new: {FLOW}}}\n", id="flow"
    ),
    pytest.param(
        '{\n  "mcpServers": {\n    "a": {"url": "u"}\n  }\n}\n',
        '{\n  "mcpServers": {\n    "a": {"url": "u"},\n    "new": {"command": "npx", '
        '"args": ["-y", "pkg"]}\n  }\n}\n',
        id="json",
    ),
    pytest.param(
        '{"groups": {}}',
        '{"groups": {}, "mcpServers": {"new": {"command": "npx", "args": ["-y", "pkg"]}}}',
        id="json-no-section",
    ),
    pytest.param("servers:\n  a: {url: u}\n", f"servers:\n  a: {{url: u}}\n  new: {FLOW}\n", id="other-name"),
    pytest.param(
        "mcpServers:\r\n  a: {url: u}\r\n",
        f"mcpServers:\r\n  a: {{url: u}}\r\n  new: {FLOW}\r\n",
        id="windows-lines",
    ),
]


@pytest.mark.parametrize(("before", "after"), ADDED)
def test_a_server_comes_last_and_all_else_keeps_its_bytes(before: str, after: str) -> None:
    assert add_server(before, "new", ENTRY) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "mcpServers:\n  a: {x: 1} # a\n  b: {x: 2}  # b\n\n# end\n",
            "mcpServers:\n  a: {x: 1} # a\n\n# end\n",
        ),
        ("mcpServers:\n  b:\n    x: 2\n\n  a: {x: 1}\n", "mcpServers:\n\n  a: {x: 1}\n"),
        ("mcpServers:\n  b: {x: 2}\ngroups: {}\n", "mcpServers: {}\ngroups: {}\n"),
        ("mcpServers: {a: {x: 1}, b: {x: 2}}\n", "mcpServers: {a: {x: 1}}\n"),
        ("mcpServers: {b: {x: 2}, a: {x: 1}}\n", "mcpServers: {a: {x: 1}}\n"),
        ("mcpServers: {b: {x: 2}}\n", "mcpServers: {}\n"),
    ],
)
def test_a_server_goes(before: str, after: str) -> None:
    assert remove_server(before, "b") == after


def test_what_cannot_be_edited_is_refused() -> None:
    with pytest.raises(CannotEdit, match="already"):
        add_server("mcpServers: {new: {}}", "new", ENTRY)
    with pytest.raises(CannotEdit, match="not a mapping"):
        add_server("mcpServers: [1]", "new", ENTRY)
    with pytest.raises(CannotEdit, match="hub check"):
        add_server("a: [", "new", ENTRY)
    for text in ("", "groups: {}", "mcpServers:", "mcpServers: {a: {}}"):
        with pytest.raises(KeyError):
            remove_server(text, "b")


names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=12)
entries = st.fixed_dictionaries(
    {"command": texts},
    optional={"args": st.lists(texts, max_size=3), "env": st.dictionaries(names, texts, max_size=2)},
)


@given(
    st.dictionaries(names, entries, max_size=3),
    st.dictionaries(names.filter(lambda name: name != "mcpServers"), entries, max_size=2),
    names,
    entries,
    st.sampled_from([True, False, None]),
)
def test_any_file_takes_any_server(
    servers: dict[str, object],
    others: dict[str, object],
    name: str,
    entry: dict[str, object],
    flow: bool | None,
) -> None:
    servers.pop(name, None)
    for other in ("servers", "mcp"):
        others.pop(other, None)
    document = {**others, "mcpServers": servers} if servers or flow else others
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    added = add_server(text, name, entry)
    assert yaml.safe_load(added) == {**others, "mcpServers": {**servers, name: entry}}
    removed = yaml.safe_load(remove_server(added, name))
    assert removed == {**others, "mcpServers": servers}
