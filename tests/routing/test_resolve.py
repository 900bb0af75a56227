from __future__ import annotations

import pytest

from routing.redact import Redactor, redactor_of
from routing.resolve import RoutingError, find_group
from routing.table import Group, Provider, Table, Target, Timeouts

UP = Provider("up", "openai", "http://127.0.0.1:1/v1")
TARGET = Target(UP, "m")


def groups(*names: str, default: str | None = None) -> Table:
    return Table({name: Group(name, (TARGET,)) for name in names}, default)


@pytest.mark.parametrize(
    ("table", "prefix", "model", "active", "expected"),
    [
        (groups("a", "b", default="a"), "", None, None, "a"),
        (groups("a", "b", default="a"), "", "b", None, "b"),
        (groups("a", "b", default="a"), "", "x", "b", "b"),
        (groups("a", "b", default="a"), "", "a", "b", "a"),
        (groups("a", "b", default="a"), "", "x", "gone", "a"),
        (groups("a", "b", default="a"), "switch", "a", "b", "b"),
        (groups("a", "b", default="a"), "switch", "b", None, "a"),
        (groups("a", "b", default="a"), "b", "a", "a", "b"),
        (groups("only"), "", "x", None, "only"),
        (groups("only", default="gone"), "", "x", None, "only"),
    ],
)
def test_the_group(table: Table, prefix: str, model: str | None, active: str | None, expected: str) -> None:
    assert find_group(table, prefix, model, active).name == expected


@pytest.mark.parametrize(
    ("table", "prefix", "told"),
    [
        (Table(), "", "no groups are configured"),
        (Table(), "kimi", "no groups are configured"),
        (groups("kimi", "qwen"), "kimmi", "Known groups: kimi, qwen"),
        (groups("a", "b"), "", "no `default_group`"),
        (groups("a", "b"), "switch", "no `default_group`"),
    ],
)
def test_no_group(table: Table, prefix: str, told: str) -> None:
    with pytest.raises(RoutingError, match=told) as raised:
        find_group(table, prefix, "x", None)
    assert raised.value.error.status == 404


def test_secrets_are_masked_in_every_form() -> None:
    secret = 'sk "quoted"/slash+plus'
    redactor = Redactor([secret, "none"])
    for text in (secret, "sk%20%22quoted%22%2Fslash%2Bplus", r"sk \"quoted\"/slash+plus"):
        assert redactor.text(f"<{text}>") == "<***>"
        assert redactor.data(f"<{text}>".encode()) == b"<***>"
    assert redactor.text("none of it") == "none of it"
    assert Redactor().text("x") == "x"


def test_the_tables_secrets() -> None:
    provider = Provider(
        "p",
        "openai",
        "http://user:url-password@host/v1?sig=query-secret",
        ("key-one-1", "key-two-2"),
        {"Authorization": "Bearer header-secret", "X": "short"},
        Timeouts(),
    )
    table = Table({"g": Group("g", (), (("*", Target(provider, "m")),))})
    redactor = redactor_of(table)
    for secret in ("key-one-1", "key-two-2", "header-secret", "url-password", "query-secret"):
        assert secret not in redactor.text(f"a {secret} b")
    for secret in ("key-one-1", "header-secret"):
        assert secret not in repr(table)
