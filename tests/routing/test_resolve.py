from __future__ import annotations

import random

import pytest

from routing.policy import (
    FAULT_ERRORS,
    FAULT_RULES,
    LONGEST_COOLDOWN,
    Step,
    after_fault,
    after_status,
    cooldown,
)
from routing.redact import Redactor, redactor_of
from routing.resolve import RoutingError, find_group, weighted_order
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


def test_the_order_follows_the_weights() -> None:
    targets = [Target(UP, name, weight) for name, weight in (("a", 1.0), ("b", 3.0), ("spare", 0.0))]
    chance = random.Random(1)
    orders = [weighted_order(targets, chance.random) for _ in range(4000)]
    assert {order[2] for order in orders} == {2}
    assert 0.72 < sum(order[0] == 1 for order in orders) / 4000 < 0.78


def test_spares_keep_their_order() -> None:
    targets = [Target(UP, name, 0.0) for name in "abc"]
    assert weighted_order(targets, random.Random(1).random) == (0, 1, 2)


@pytest.mark.parametrize(
    ("status", "step"),
    [
        *((status, Step.TELL) for status in (400, 404, 405, 410, 413, 415, 422)),
        *((status, Step.NEXT_KEY) for status in (401, 402, 403, 429)),
        *((status, Step.NEXT_TARGET) for status in (302, 408, 409, 500, 502, 503, 504, 529)),
    ],
)
def test_after_a_status(status: int, step: Step) -> None:
    assert after_status(status).step is step


def test_every_fault_has_a_rule_and_an_error() -> None:
    assert FAULT_RULES.keys() == FAULT_ERRORS.keys()
    moving = {fault for fault in FAULT_RULES if after_fault(fault).step is Step.NEXT_TARGET}
    assert set(FAULT_RULES) - moving == {"total_timeout"}


def test_cooldowns() -> None:
    busy = after_status(429)
    assert cooldown(busy, 33.0) == 33.0
    assert cooldown(busy, None) == busy.cooldown > 0
    assert cooldown(busy, 1e9) == LONGEST_COOLDOWN
    assert cooldown(after_status(400), 33.0) == 0.0


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
