"""What groups and targets change in requests: exactly that, and nothing beside it."""

from __future__ import annotations

import copy
import json
import logging
from typing import Any

import httpx
import pytest

from adapters.registry import codec as codec_of
from routing.adjust import Adjustment, Unadjustable, adjust, adjustment_of, deep, merged
from routing.changes import NO_CHANGES, Changes, Replacement, SystemChange, ToolFilter
from routing.plan import Way
from routing.table import NO_PARAMETERS, Group, Parameters, Provider, Target
from tests.routing.requests import PATHS, call, chat, inquiry, plan_of
from tests.routing.scripted_upstream import answers, scripted
from tests.routing.serving import group, provider, serving, table

PROTOCOLS = tuple(PATHS)
SYSTEM = "You are Old Name. Old Name is kind."
BASE_URLS = {
    "gemini": "http://127.0.0.1:9",
    "anthropic": "http://127.0.0.1:9",
    "ollama": "http://127.0.0.1:9",
}


def sent(
    protocol: str, body: dict[str, Any], changes: Changes, target: str = "", **group: Any
) -> dict[str, Any]:
    """The upstream's body; without `target` the client's protocol is the upstream's."""
    one = inquiry(
        call(protocol, body), plan_of(Group("g", (target_of(target or protocol),), changes=changes, **group))
    )
    way: Way = one.plan.ways[0]
    document: dict[str, Any] = json.loads(one.asked(way, 0).request.body)
    return document


def alike(protocol: str, body: dict[str, Any]) -> dict[str, Any]:
    """`body` as a conversion to its own protocol writes it: Ollama's tells its defaults and ids of calls."""
    nothing = Changes(system=SystemChange(replace=(Replacement("\0", ""),)))
    return sent(protocol, body, nothing) if protocol == "ollama" else body


def target_of(protocol: str, **more: Any) -> Target:
    base = BASE_URLS.get(protocol, "http://127.0.0.1:9/v1")
    return Target(Provider("up", protocol, base, ("sk-key-of-the-test",)), "", **more)


def with_system(protocol: str, text: str) -> dict[str, Any]:
    return chat(protocol, system=text, tools=["read", "write"], calls=["read"])


# ---------------------------------------------------------------- system prompts

CHANGES = {
    "prepend": (SystemChange(prepend="First."), f"First.\n\n{SYSTEM}"),
    "append": (SystemChange(append="Last."), f"{SYSTEM}\n\nLast."),
    "both": (SystemChange(prepend="First.", append="Last."), f"First.\n\n{SYSTEM}\n\nLast."),
    "literal": (SystemChange(replace=(Replacement("Old Name", "N"),)), "You are N. N is kind."),
    "limit": (SystemChange(replace=(Replacement("Old Name", "N", limit=1),)), "You are N. Old Name is kind."),
    "regex": (
        SystemChange(replace=(Replacement(r"Old (\w+)", r"<\1>", is_regex=True),)),
        "You are <Name>. <Name> is kind.",
    ),
    "regex, limited": (
        SystemChange(replace=(Replacement(r"(?i)old (?P<x>\w+)", r"\g<x>", is_regex=True, limit=1),)),
        "You are Name. Old Name is kind.",
    ),
    "in turn": (
        SystemChange(replace=(Replacement("Old", "New"), Replacement("New Name", "N")), append="Z"),
        "You are N. N is kind.\n\nZ",
    ),
    "no such text": (SystemChange(replace=(Replacement("Nowhere", "N"),)), SYSTEM),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_system_prompt_changes_and_nothing_else(protocol: str, name: str) -> None:
    change, text = CHANGES[name]
    found = sent(protocol, with_system(protocol, SYSTEM), Changes(system=change))
    assert found == alike(protocol, with_system(protocol, text))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_text_takes_the_place_of_the_whole(protocol: str) -> None:
    body = sent(protocol, with_system(protocol, SYSTEM), Changes(system=SystemChange(text="New.")))
    assert "New." in json.dumps(body)
    assert "Old Name" not in json.dumps(body)
    without = sent(protocol, with_system(protocol, SYSTEM), Changes(system=SystemChange(text="")))
    assert without == alike(protocol, chat(protocol, tools=["read", "write"], calls=["read"]))


@pytest.mark.parametrize(
    "change", [SystemChange(prepend="Be kind."), SystemChange(append="Be kind.")], ids=str
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_without_a_system_prompt_gets_one(protocol: str, change: SystemChange) -> None:
    body = sent(protocol, chat(protocol), Changes(system=change))
    request = codec_of(protocol).decode_request(body, call(protocol, body).arrival)
    system = [*request.instructions, *(part for each in request.messages for part in each.parts[:1])]
    assert [getattr(part, "text", None) for part in system] == ["Be kind.", "Hello"]


def test_system_messages_in_mid_conversation_are_searched_too() -> None:
    body = chat("openai", system="Old one")
    body["messages"].append({"role": "system", "content": "Old two"})
    expected = copy.deepcopy(body)
    expected["messages"][0]["content"], expected["messages"][2]["content"] = "New one", "New two"
    assert (
        sent("openai", body, Changes(system=SystemChange(replace=(Replacement("Old", "New"),)))) == expected
    )
    expected["messages"][2]["content"] = "Old two"
    once = SystemChange(replace=(Replacement("Old", "New", limit=1),))
    assert sent("openai", body, Changes(system=once)) == expected


def test_what_stands_before_does_not_get_lost_with_an_attribution_line() -> None:
    line = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.300; cc_entrypoint=cli;"}
    body = chat("anthropic", system="You help.")
    body["system"].insert(0, line)
    change = Changes(system=SystemChange(prepend="First."))
    own = sent("anthropic", body, change)["system"]
    assert [each["text"] for each in own] == [line["text"], "First.\n\nYou help."]
    other = sent("anthropic", body, change, "openai")["messages"][0]
    assert "First.\n\nYou help." in json.dumps(other, ensure_ascii=False).encode().decode("unicode_escape")
    assert "billing" not in json.dumps(other)


def test_a_pattern_that_tries_without_end_is_stopped_and_told() -> None:
    slow = SystemChange(replace=(Replacement(r"(x+x+)+y", "z", is_regex=True),))
    with pytest.raises(Unadjustable, match=r"\(x\+x\+\)\+y.*takes too long") as caught:
        sent("openai", chat("openai", system="x" * 5_000), Changes(system=slow))
    assert caught.value.error.status == 500


@pytest.mark.parametrize(
    ("find", "text", "message"),
    [
        ("a(b", "", "missing"),
        ("(a)", r"\2", "no group `2`"),
        ("(?P<x>a)", r"\g<y>", "no group `y`"),
        ("(a)", r"\g<3>", "no group `3`"),
    ],
)
def test_patterns_that_cannot_work_are_refused_when_they_are_made(find: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Replacement(find, text, is_regex=True)


def test_a_literal_text_is_no_pattern() -> None:
    assert Replacement("a(b", r"\1").apply("a(b a(b", 0) == (r"\1 \1", 2)
    assert Replacement(r"\d", r"\\ \n [\g<0>]", is_regex=True).apply("4", 0) == ("\\ \n [4]", 1)


# ---------------------------------------------------------------- tools

TOOLS = ["read", "write", "web_get", "web_find"]


@pytest.mark.parametrize(
    ("filter_", "kept"),
    [
        (ToolFilter(), TOOLS),
        (ToolFilter(exclude=("web_*",)), ["read", "write"]),
        (ToolFilter(include=("web_*", "read")), ["read", "web_get", "web_find"]),
        (ToolFilter(include=("web_*",), exclude=("*_get",)), ["web_find"]),
        (ToolFilter(exclude=("WRITE",)), TOOLS),
    ],
    ids=str,
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tools_are_chosen_by_name_and_nothing_else_changes(
    protocol: str, filter_: ToolFilter, kept: list[str]
) -> None:
    calls = ["read", "web_get"]  # what history calls may be gone
    body = chat(protocol, tools=TOOLS, calls=calls)
    expected = alike(protocol, chat(protocol, tools=kept, calls=calls))
    assert sent(protocol, body, Changes(tools=filter_)) == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_any_tool_the_request_says_nothing_of_tools(protocol: str) -> None:
    body = sent(protocol, chat(protocol, tools=TOOLS), Changes(tools=ToolFilter(exclude=("*",))))
    assert body == alike(protocol, chat(protocol))


@pytest.mark.parametrize("protocol", ["openai", "openai-responses", "anthropic", "gemini"])
def test_what_history_called_stays_where_nothing_else_would_but_cannot_be_called(protocol: str) -> None:
    body = chat(protocol, tools=TOOLS, calls=["read"])
    found = sent(protocol, body, Changes(tools=ToolFilter(exclude=("*",))))
    request = codec_of(protocol).decode_request(found, call(protocol, found).arrival)
    assert [tool.name for tool in request.tools] == ["read"]
    assert request.tool_choice is not None
    assert request.tool_choice.mode == "none"


@pytest.mark.parametrize(
    ("choice", "kept", "expected"),
    [
        ({"type": "tool", "name": "read"}, "read", {"type": "tool", "name": "read"}),
        ({"type": "tool", "name": "read"}, "write", {"type": "auto"}),
        ({"type": "any"}, "write", {"type": "any"}),
        ({"type": "tool", "name": "read"}, "nothing", None),
    ],
)
def test_a_choice_of_a_tool_that_is_gone(
    choice: dict[str, Any], kept: str, expected: dict[str, Any] | None
) -> None:
    body = chat("anthropic", tools=["read", "write"]) | {"tool_choice": choice}
    found = sent("anthropic", body, Changes(tools=ToolFilter(include=(kept,))))
    assert found.get("tool_choice") == expected
    assert bool(found.get("tools")) is (expected is not None)


def test_a_choice_among_some_leaves_those_that_are_there() -> None:
    allowed = [{"type": "function", "name": name} for name in ("read", "write")]
    choice = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    body = chat("openai-responses", tools=["read", "write", "web_get"]) | {"tool_choice": choice}
    found = sent("openai-responses", body, Changes(tools=ToolFilter(exclude=("read",))))
    assert found["tool_choice"] == {**choice, "tools": allowed[1:]}


def test_tools_of_the_provider_go_by_name_or_kind() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    body = chat("anthropic", tools=["read"])
    body["tools"].append(search)
    without = Changes(tools=ToolFilter(exclude=("web_search",)))
    assert sent("anthropic", body, without) == chat("anthropic", tools=["read"])
    other = chat("gemini", tools=["read"])
    other["tools"].append({"googleSearch": {}})
    without = Changes(tools=ToolFilter(exclude=("googleSearch",)))
    assert sent("gemini", other, without) == chat("gemini", tools=["read"])


def test_tools_that_are_declared_within_the_conversation_go_as_well() -> None:
    tools = [
        {"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("read", "write")
    ]
    item = {"type": "additional_tools", "role": "developer", "tools": tools}
    body = {"model": "any", "input": [item, {"role": "user", "content": "Hi"}]}
    found = sent("openai-responses", body, Changes(tools=ToolFilter(exclude=("write",))))
    assert [each["name"] for each in found["input"][0]["tools"]] == ["read"]


# ---------------------------------------------------------------- parameters, fields, headers


@pytest.mark.parametrize(
    ("said", "more", "expected"),
    [
        (1.0, {}, 0.5),
        (None, {}, None),
        (1.5, {"defaults": Parameters(temperature=0.9)}, 0.75),
        (None, {"defaults": Parameters(temperature=0.9)}, 0.9),
        (1.0, {"override": Parameters(temperature=0.1)}, 0.1),
        (0.0, {}, 0.0),
    ],
)
def test_the_ratio_is_of_the_clients_own_temperature(
    said: float | None, more: dict[str, Any], expected: float | None
) -> None:
    body = chat("openai") | ({} if said is None else {"temperature": said})
    assert sent("openai", body, Changes(temperature_ratio=0.5), **more).get("temperature") == expected


def test_a_ratio_leads_to_no_temperature_that_nobody_takes() -> None:
    body = chat("openai") | {"temperature": 1.5}
    assert sent("openai", body, Changes(temperature_ratio=3.0))["temperature"] == 2.0


def test_a_target_wins_over_its_group_and_both_change() -> None:
    system = [SystemChange(append=each) for each in ("group", "target")]
    target = target_of(
        "openai",
        defaults=Parameters(top_p=0.2, extra_body={"a": {"y": 2}}),
        override=Parameters(seed=1),
        changes=Changes(temperature_ratio=0.5, system=system[1], headers={"X-Both": "target"}),
    )
    one = Group(
        "g",
        (target,),
        defaults=Parameters(top_p=0.1, max_tokens=5, extra_body={"a": {"x": 1, "y": 1}}),
        changes=Changes(
            temperature_ratio=2.0, system=system[0], headers={"x-both": "group", "x-own": "group"}
        ),
    )
    asked = inquiry(call("openai", chat("openai", system="S") | {"temperature": 1}), plan_of(one))
    request = asked.asked(asked.plan.ways[0], 0).request
    body = json.loads(request.body)
    assert (body["top_p"], body["max_tokens"], body["seed"], body["temperature"]) == (0.2, 5, 1, 0.5)
    assert body["messages"][0]["content"] == "S\n\ngroup\n\ntarget"
    assert body["a"] == {"x": 1, "y": 2}
    assert (request.headers["x-both"], request.headers["x-own"]) == ("target", "group")


def test_headers_alone_leave_a_body_untouched() -> None:
    plan = plan_of(
        Group("g", (target_of("openai"),), changes=Changes(headers={"X-Team": "a", "Authorization": "b"}))
    )
    one = inquiry(call("openai", chat("openai")), plan)
    assert one.passes_through(plan.ways[0])
    headers = one.asked(plan.ways[0], 0).request.headers
    assert (headers["x-team"], headers["authorization"]) == ("a", "b")


def test_nothing_to_change_is_no_adjustment() -> None:
    group, target = Group("g", ()), target_of("openai")
    assert adjustment_of(group, target) is None
    assert adjustment_of(Group("g", (), changes=Changes(headers={"a": "b"})), target) is None
    assert adjustment_of(Group("g", (), defaults=Parameters(seed=1)), target) == Adjustment(
        Parameters(seed=1)
    )
    assert merged(NO_PARAMETERS, NO_PARAMETERS) is NO_PARAMETERS
    assert Changes() == NO_CHANGES


def test_an_adjustment_of_nothing_returns_the_request_itself() -> None:
    request = inquiry(call("openai", chat("openai", system="S", tools=["a"]))).request()
    assert adjust(request, Adjustment(tools=(ToolFilter(),))) is request


@pytest.mark.parametrize(
    ("below", "above", "both"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": {"x": {"p": 1}}}, {"a": {"x": {"q": 2}}}, {"a": {"x": {"p": 1, "q": 2}}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": 5}, {"a": None}, {"a": None}),
    ],
)
def test_objects_are_merged_and_lists_replaced(
    below: dict[str, Any], above: dict[str, Any], both: dict[str, Any]
) -> None:
    kept = copy.deepcopy((below, above))
    assert deep(below, above) == both
    assert (below, above) == kept


def test_extra_fields_go_into_the_objects_that_the_body_has() -> None:
    body = chat("gemini", effort="low")
    body["generationConfig"]["temperature"] = 0.5
    extra = {"generationConfig": {"temperature": 0.1, "mediaResolution": "LOW"}}
    below = sent("gemini", body, NO_CHANGES, defaults=Parameters(extra_body=extra))["generationConfig"]
    above = sent("gemini", body, NO_CHANGES, override=Parameters(extra_body=extra))["generationConfig"]
    assert (below["temperature"], below["mediaResolution"]) == (0.5, "LOW")
    assert (above["temperature"], above["mediaResolution"]) == (0.1, "LOW")
    assert above["thinkingConfig"] == below["thinkingConfig"] == {"thinkingLevel": "LOW"}


async def test_secret_headers_of_groups_and_targets_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hub.routing")
    of_group, of_target = "planted-group-header-1", "Token planted-target-header-2"
    said = {"error": {"message": f"no {of_group}, {of_target}, planted-target-header-2", "type": "x"}}
    async with scripted(answers(said, status=400)) as upstream:
        target = Target(provider("openai", upstream.url), "m", changes=Changes(headers={"x-b": of_target}))
        one = group(target, changes=Changes(headers={"x-a": of_group}))
        async with serving(table(one)) as hub, httpx.AsyncClient() as client:
            answer = await client.post(f"{hub.url}/g/v1/chat/completions", json=chat("openai"))
    received = upstream.requests[0].headers
    assert (received["x-a"], received["x-b"]) == (of_group, of_target)
    assert answer.status_code == 400
    assert "***" in answer.text
    assert "planted" not in answer.text + str(answer.headers) + caplog.text + str(hub.records)
