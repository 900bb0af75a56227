"""Changing JSON with comments in place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ide.jsonc import NotJson, load, remove_member, set_member

ENTRY = {"url": "http://h/mcp"}
PATH = ("mcpServers", "hub")

CASES = [
    pytest.param(
        "", '{\n  "mcpServers": {\n    "hub": {\n      "url": "http://h/mcp"\n    }\n  }\n}\n', id="empty"
    ),
    pytest.param(
        "{}", '{\n  "mcpServers": {\n    "hub": {\n      "url": "http://h/mcp"\n    }\n  }\n}', id="no-member"
    ),
    pytest.param(
        "// mine\n",
        '// mine\n{\n  "mcpServers": {\n    "hub": {\n      "url": "http://h/mcp"\n    }\n  }\n}\n',
        id="only-a-comment",
    ),
    pytest.param(
        '{\n\t"a": 1, // one\n}\n',
        '{\n\t"a": 1,\n\t"mcpServers": {\n\t\t"hub": {\n\t\t\t"url": "http://h/mcp"\n\t\t}\n\t}, // one\n}\n',
        id="tabs-and-trailing-comma",
    ),
    pytest.param(
        '{\r\n    "mcpServers": {\r\n        "x": {"command": "x"} /* last */\r\n    }\r\n}\r\n',
        '{\r\n    "mcpServers": {\r\n        "x": {"command": "x"},\r\n        "hub": {\r\n'
        '            "url": "http://h/mcp"\r\n        } /* last */\r\n    }\r\n}\r\n',
        id="windows-lines",
    ),
    pytest.param(
        '{"mcpServers": {"x": {}}}',
        '{"mcpServers": {"x": {}, "hub": {\n      "url": "http://h/mcp"\n    }}}',
        id="one-line",
    ),
    pytest.param(
        '{\n  "mcpServers": {\n    // none yet\n  }\n}',
        '{\n  "mcpServers": {\n    // none yet\n    "hub": {\n      "url": "http://h/mcp"\n    }\n  }\n}',
        id="comment-inside",
    ),
    pytest.param(
        '{\n  "mcpServers": {\n    "hub": {"old": true}, // keep\n    "y": 1\n  }\n}',
        '{\n  "mcpServers": {\n    "hub": {\n      "url": "http://h/mcp"\n    }, // keep\n    "y": 1\n  }\n}',
        id="replaced",
    ),
]


@pytest.mark.parametrize(("before", "after"), CASES)
def test_a_member_is_set_and_all_else_keeps_its_bytes(before: str, after: str) -> None:
    changed = set_member(before, PATH, ENTRY).apply(before)
    assert changed == after
    assert load(changed)["mcpServers"]["hub"] == ENTRY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a": {"x": 1, "y": 2, "z": 3}}', '{"a": {"x": 1, "z": 3}}'),
        ('{"a": {"x": 1, "y": 2}}', '{"a": {"x": 1}}'),
        ('{"a": {"x": 1, "y": 2,}}', '{"a": {"x": 1}}'),
        ('{"a": {"y": 2}}', '{"a": {}}'),
        ('{\n  "a": {\n    "y": 2\n  }\n}', '{\n  "a": {}\n}'),
        ('{"a": {/* none */ "y": 2}}', '{"a": {/* none */ }}'),
        ('{"a": {"y": 2,}}', '{"a": {}}'),
        ('{"a": {"x": 1, // of x\n "y": 2}}', '{"a": {"x": 1 // of x\n}}'),
        ('{"a": {"x": 1, /* x */ "y": 2, // y\n}}', '{"a": {"x": 1 /* x */ // y\n}}'),
    ],
)
def test_a_member_is_removed(before: str, after: str) -> None:
    change = remove_member(before, ("a", "y"))
    assert change is not None
    assert change.apply(before) == after
    assert "y" not in load(after)["a"]


@pytest.mark.parametrize("text", ["{}", '{"a": {}}', '{"b": 1}'])
def test_what_is_not_there_is_not_removed(text: str) -> None:
    assert remove_member(text, ("a", "y")) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", 1),
        ('{"a" 1}', 1),
        ('{\n"a": }', 2),
        ("{} {}", 1),
        ('{\n\n"a": 1 "b": 2}', 3),
        ("[1,, 2]", 1),
        ('"x', 1),
    ],
)
def test_what_is_no_json_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(NotJson) as told:
        load(text)
    assert told.value.line == line


@pytest.mark.parametrize(("text", "where"), [("[]", "the whole file"), ('{"mcpServers": []}', "mcpServers")])
def test_something_else_than_an_object_is_not_overwritten(text: str, where: str) -> None:
    with pytest.raises(TypeError, match=where):
        set_member(text, PATH, ENTRY)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
documents = st.dictionaries(st.text(max_size=5), json_values, max_size=4)


@given(
    documents,
    st.lists(st.text(max_size=4), min_size=1, max_size=3),
    json_values,
    st.sampled_from([None, 1, 4, "\t"]),
)
def test_any_document_takes_any_member(
    document: dict[str, Any], path: list[str], value: Any, indent: Any
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    here: Any = document
    for key in path[:-1]:
        here = here.setdefault(key, {}) if isinstance(here, dict) else None
    if not isinstance(here, dict):
        with pytest.raises(TypeError):
            set_member(text, path, value)
        return
    present = path[-1] in here
    here[path[-1]] = value
    changed = set_member(text, path, value).apply(text)
    assert load(changed) == document
    removal = remove_member(changed, path)
    assert removal is not None
    del here[path[-1]]
    assert load(removal.apply(changed)) == document
    assert present or load(text) is not None
