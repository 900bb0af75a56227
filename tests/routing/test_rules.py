"""Which rule holds, as a table; and who is asked by it, through a served gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from adapters.registry import codecs
from routing.plan import prepare, stages
from routing.rules import Bounds, Condition, Flag, Header, Names, Rule, choose, judge
from routing.table import Group, Provider, Retry, Table, Target
from tests.routing.requests import PATHS, call, chat, inquiry
from tests.routing.samples import SAMPLES
from tests.routing.scripted_upstream import ScriptedUpstream, answers, scripted
from tests.routing.serving import Served, group, provider, serving, table

HEADERS = {"x-team": "research-a", "x-claude-code-agent-id": "a", "x-claude-code-agent-type": "Explore"}
BODY = chat("openai", "word " * 400, model="claude-opus-5", tools=["Bash", "Read"], effort="high", image=True)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Names("model", ("*opus*",)), True),
        (Names("model", ("*haiku*", "claude-*")), True),
        (Names("model", ("opus",)), False),
        (Names("model", ("*OPUS*",)), False),
        (Names("protocol", ("openai",)), True),
        (Names("protocol", ("openai-*",)), False),
        (Names("effort", ("high", "max")), True),
        (Names("effort", ("low",)), False),
        (Names("tools", ("Ba*",)), True),
        (Names("tools", ("Write",)), False),
        (Names("subagent", ("Exp*",)), True),
        (Names("subagent", ("Plan",)), False),
        (Names("marker", ("*",)), False),
        (Flag("images", True), True),
        (Flag("images", False), False),
        (Flag("documents", False), True),
        (Flag("documents", True), False),
        (Flag("thinking", True), True),
        (Flag("tools", True), True),
        (Flag("tools", False), False),
        (Flag("web_search", False), True),
        (Flag("background", False), True),
        (Flag("subagent", True), True),
        (Flag("stream", False), True),
        (Bounds(500, None), True),
        (Bounds(None, 5_000), True),
        (Bounds(500, 5_000), True),
        (Bounds(None, 500), False),
        (Bounds(5_000, None), False),
        (Header("x-team", ("research-*",)), True),
        (Header("x-team", ("sales", "research-a")), True),
        (Header("x-team", ("research",)), False),
        (Header("x-other", ("*",)), False),
    ],
    ids=str,
)
def test_conditions(condition: Condition, holds: bool) -> None:
    facts = inquiry(call("openai", BODY, HEADERS)).facts
    assert choose([Rule((condition,))], facts) == (0 if holds else None)
    verdict = judge([Rule((condition,))], facts)[0]
    assert verdict.holds is holds
    assert len(verdict.reasons) == 1


def test_all_conditions_of_a_rule_and_the_first_rule_of_all() -> None:
    facts = inquiry(call("openai", BODY)).facts
    opus, image, long = Names("model", ("*opus*",)), Flag("images", True), Bounds(60_000, None)
    assert choose([Rule((opus, long)), Rule((opus, image)), Rule((opus,))], facts) == 1
    assert choose([Rule((long,)), Rule()], facts) == 1
    assert choose([Rule((long,))], facts) is None
    assert choose([], facts) is None


def test_what_cannot_be_known_holds_neither_way() -> None:
    facts = inquiry(call("openai", {"model": "m", "messages": 5})).facts
    unknown: tuple[Condition, ...] = (Flag("images", True), Flag("images", False), Bounds(None, 10**9))
    assert choose([Rule((each,)) for each in unknown], facts) is None
    assert choose([*(Rule((each,)) for each in unknown), Rule((Names("model", ("m",)),))], facts) == 3


def test_judging_stops_at_the_rule_that_holds_and_tells_what_fails() -> None:
    facts = inquiry(call("openai", BODY, HEADERS)).facts
    rules = [
        Rule((Names("model", ("*opus*",)), Bounds(60_000, None))),
        Rule((Flag("images", True), Header("x-team", ("research-*",)))),
        Rule(),
    ]
    first, second = judge(rules, facts)
    assert (first.holds, second.holds) == (False, True)
    assert first.reasons[0].startswith("tokens: about 1,")
    assert first.reasons[0].endswith("wanted: 60,000 or more")
    assert second.reasons == ("images: yes", "header `x-team`: there; wanted: `research-*`")


def test_values_of_headers_are_not_told() -> None:
    facts = inquiry(call("openai", BODY, {"authorization": "Bearer sk-client-secret"})).facts
    told = judge([Rule((Header("authorization", ("Bearer x*",)),))], facts)
    assert "sk-client-secret" not in str(told)


# ---------------------------------------------------------------- the order of asking

_UP = Provider("up", "openai", "http://127.0.0.1:9/v1")


def targets(*names: str) -> tuple[Target, ...]:
    return tuple(Target(_UP, name) for name in names)


def asked(groups: list[Group], body: dict[str, Any]) -> list[tuple[str, str]]:
    """Groups and models in the order of asking; fallbacks are left out."""
    plans = prepare(
        Table({each.name: each for each in groups}), {each.name: each for each in codecs()}
    ).groups
    one = inquiry(call("openai", body), plans[groups[0].name])
    found, _ = stages(one.plan, one.model, one.facts)
    return [(stage.plan.group.name, way.target.model) for stage in found for way in stage.ways]


IMAGE = Rule((Flag("images", True),), targets("eyes"))


@pytest.mark.parametrize(
    ("rules", "body", "order"),
    [
        ((), chat("openai"), ["main"]),
        ((IMAGE,), chat("openai"), ["main"]),
        ((IMAGE,), chat("openai", image=True), ["eyes", "main"]),
        ((IMAGE,), chat("openai", model="cheap-1"), ["mapped"]),
        ((IMAGE,), chat("openai", image=True, model="cheap-1"), ["eyes", "mapped"]),
        ((Rule(IMAGE.conditions, targets("eyes"), only=True),), chat("openai", image=True), ["eyes"]),
        ((Rule((), targets("a", "b")), IMAGE), chat("openai", image=True), ["a", "b", "main"]),
    ],
)
def test_a_rules_targets_come_before_the_models_map_and_the_groups_own(
    rules: tuple[Rule, ...], body: dict[str, Any], order: list[str]
) -> None:
    one = Group("g", targets("main"), (("cheap*", targets("mapped")[0]),), rules=rules)
    assert [model for _, model in asked([one], body)] == order


def test_a_used_group_has_its_own_rules_and_the_asking_one_is_next() -> None:
    eyes = Group("eyes", targets("e"), rules=(Rule((Bounds(2_000, None),), targets("big")),))
    one = Group("g", targets("main"), rules=(Rule(IMAGE.conditions, use="eyes"),))
    assert asked([one, eyes], chat("openai", image=True)) == [("eyes", "e"), ("g", "main")]
    long = chat("openai", "word " * 2_000, image=True)
    assert asked([one, eyes], long) == [("eyes", "big"), ("eyes", "e"), ("g", "main")]


def test_only_holds_for_the_asking_group_as_well() -> None:
    eyes = Group("eyes", targets("e"), rules=(Rule((), targets("first"), only=True),))
    one = Group("g", targets("main"), rules=(Rule((), use="eyes"),))
    assert asked([one, eyes], chat("openai")) == [("eyes", "first")]


def test_a_rule_and_a_fallback_may_name_each_others_groups() -> None:
    one = Group("best", targets("main"), rules=(Rule(IMAGE.conditions, use="fast"),))
    fast = Group("fast", targets("quick"), fallback="best")
    assert asked([one, fast], chat("openai", image=True)) == [("fast", "quick"), ("best", "main")]


@pytest.mark.parametrize("uses", [("a",), ("b", "a"), ("b", "c", "b")])
def test_rules_in_a_circle_are_refused(uses: tuple[str, ...]) -> None:
    names = ("a", *uses)
    groups = {
        name: Group(name, targets("m"), rules=(Rule((), use=use),))
        for name, use in zip(names, uses, strict=False)
    }
    with pytest.raises(LookupError, match="circle"):
        prepare(Table(groups), {each.name: each for each in codecs()})


def test_an_unknown_group_is_refused_and_one_in_reserve_is_known() -> None:
    one, other = Group("g", targets("m"), rules=(Rule((), use="other"),)), Group("other", targets("o"))
    known = {each.name: each for each in codecs()}
    with pytest.raises(LookupError, match="no group `other`"):
        prepare(Table({"g": one}), known)
    plan = prepare(Table({"g": one}, reserve={"other": other}), known).groups["g"]
    assert [way.target.model for way in plan.all_ways()] == ["m", "o"]


# ---------------------------------------------------------------- through the gateway


@asynccontextmanager
async def routed(*rules: Rule, **more: Any) -> AsyncIterator[tuple[Served, dict[str, ScriptedUpstream]]]:
    """A group `g` of one target, `main`; rules name the providers `eyes` and `long`, all of them served."""
    async with AsyncExitStack() as stack:
        ups = {
            name: await stack.enter_async_context(scripted(answers(SAMPLES["openai"].answer)))
            for name in ("main", "eyes", "long")
        }
        made = {name: Target(provider("openai", up.url, name), name) for name, up in ups.items()}
        ready = [
            Rule(
                each.conditions,
                tuple(made[one.model] for one in each.targets),
                each.use,
                each.only,
                each.name,
            )
            for each in rules
        ]
        groups = (group(made["main"], rules=tuple(ready), **more), group(made["long"], name="long"))
        yield await stack.enter_async_context(serving(table(*groups))), ups


async def ask(hub: Served, protocol: str, **wishes: Any) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"{hub.url}/g{PATHS[protocol]}", json=chat(protocol, **wishes))


RULES = (
    Rule((Flag("images", True),), targets("eyes"), name="vision"),
    Rule((Bounds(2_000, None),), use="long"),
)


@pytest.mark.parametrize("protocol", PATHS)
@pytest.mark.parametrize(
    ("wishes", "target", "group_name", "rule"),
    [
        ({}, "main", "g", None),
        ({"image": True}, "eyes", "g", "vision"),
        ({"text": "word " * 2_000}, "long", "long", "2"),
    ],
    ids=["plain", "image", "long"],
)
async def test_the_rule_that_holds_decides_for_every_protocol(
    protocol: str, wishes: dict[str, Any], target: str, group_name: str, rule: str | None
) -> None:
    async with routed(*RULES) as (hub, ups):
        answer = await ask(hub, protocol, **wishes)
    assert answer.status_code == 200, answer.text
    assert [name for name, up in ups.items() if up.requests] == [target]
    assert answer.headers["x-hub-target"] == f"{target}/{target}"
    assert answer.headers["x-hub-group"] == group_name
    assert answer.headers.get("x-hub-rule") == rule
    assert ups[target].requests[0].json["model"] == target


async def test_the_groups_own_target_answers_where_the_rules_fails() -> None:
    async with routed(*RULES) as (hub, ups):
        ups["eyes"].script = answers({"error": {"message": "down"}}, status=503)
        answer = await ask(hub, "openai", image=True)
    assert answer.status_code == 200
    assert (answer.headers["x-hub-target"], answer.headers["x-hub-rule"]) == ("main/main", "vision")
    assert [len(up.requests) for up in ups.values()] == [1, 1, 0]


async def test_nobody_else_is_asked_of_a_rule_that_says_only() -> None:
    alone = Rule(RULES[0].conditions, targets("eyes"), only=True)
    async with routed(alone, fallback="long", retry=Retry(budget=0.0)) as (hub, ups):
        ups["eyes"].script = answers({"error": {"message": "down"}}, status=503)
        answer = await ask(hub, "openai", image=True)
    assert answer.status_code == 503
    assert [len(up.requests) for up in ups.values()] == [0, 1, 0]


async def test_a_body_passes_untouched_through_rules() -> None:
    async with routed(*RULES) as (hub, ups):
        body = b'{ "model":"any", "messages":[{"role":"user","content":"Hi"}], "x":1.50}'
        async with httpx.AsyncClient() as client:
            await client.post(f"{hub.url}/g/v1/chat/completions", content=body)
    assert ups["main"].requests[0].body == body.replace(b'"any"', b'"main"')


@pytest.mark.parametrize("protocol", PATHS)
async def test_a_marker_chooses_and_does_not_reach_the_model(protocol: str) -> None:
    rule = Rule((Names("marker", ("review", "x,*")),), targets("eyes"))
    async with routed(rule) as (hub, ups):
        marked = await ask(hub, protocol, system="<hub-route>review</hub-route>\nBe strict.", text="Look")
        other = await ask(hub, protocol, text="<CCR-SUBAGENT-MODEL>x,y</CCR-SUBAGENT-MODEL>Look at it")
        unknown = await ask(hub, protocol, text="<hub-route>else</hub-route> Look")
    assert [each.headers["x-hub-target"] for each in (marked, other, unknown)] == [
        "eyes/eyes",
        "eyes/eyes",
        "main/main",
    ]
    first, second = (each.json["messages"] for each in ups["eyes"].requests)
    assert [_text(each) for each in first] == ["Be strict.", "Look"]
    assert [_text(each) for each in second] == ["Look at it"]
    assert _text(ups["main"].requests[0].json["messages"][0]) == "Look"


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


async def test_tokens_are_counted_where_the_chat_would_go() -> None:
    async with routed(*RULES) as (hub, _), httpx.AsyncClient() as client:
        body = chat("anthropic", "word " * 2_000)
        answer = await client.post(f"{hub.url}/g/v1/messages/count_tokens", json=body)
    assert (answer.status_code, answer.headers["x-hub-estimated"]) == (200, "true")
    assert answer.headers["x-hub-rule"] == "2"
