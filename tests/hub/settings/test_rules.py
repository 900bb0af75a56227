"""Settings of rules and changes: what may be written, what it becomes, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.settings import LoadedSettings, SettingsError, load_settings
from hub.settings.rules import bounds
from hub.snapshot import build_table, limit_table
from routing.changes import NO_CHANGES, Changes, Replacement, SystemChange, ToolFilter
from routing.rules import Bounds, Flag, Header, Names, Rule
from routing.table import Group, Parameters, Table

TARGET = "{provider: local, model: m}"
HEAD = "providers:\n  local: {protocol: openai, base_url: 'http://127.0.0.1:1/v1'}\ngroups:\n"


def load(tmp_path: Path, groups: str) -> LoadedSettings:
    path = tmp_path / "hub.yaml"
    path.write_text(HEAD + groups)
    return load_settings(path, environ={})


def table(tmp_path: Path, groups: str) -> Table:
    return build_table(load(tmp_path, groups).settings, {})


def group(tmp_path: Path, keys: str) -> Group:
    return table(tmp_path, f"  g:\n    provider: local\n    model: m\n{keys}").groups["g"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">60000", (60_001, None)),
        ("> 60_000", (60_001, None)),
        (">=60k", (60_000, None)),
        ("over 60K", (60_001, None)),
        ("<1m", (None, 999_999)),
        ("<= 20", (None, 20)),
        ("under 5", (None, 4)),
        (">=1000 <2k", (1_000, 1_999)),
        (" >1, <3 ", (2, 2)),
    ],
)
def test_sizes(text: str, expected: tuple[int | None, int | None]) -> None:
    assert bounds(text) == expected


@pytest.mark.parametrize("text", ["", "60000", "> many", "=5", ">5 and <9", ">1.5k", ">-1"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="must compare"):
        bounds(text)


def test_a_size_that_can_never_be() -> None:
    with pytest.raises(ValueError, match="never"):
        bounds(">5 <6")


def test_every_condition_becomes_one_and_what_is_known_at_once_is_asked_first(tmp_path: Path) -> None:
    when = """
          tokens: over 60k
          marker: review
          tools: Bash
          subagent: [Explore, Plan]
          effort: [high, max]
          images: true
          documents: false
          thinking: yes
          web_search: true
          background: false
          stream: true
          header: {X-Team: "a*", X-Other: [b, c]}
          protocol: anthropic
          model: ["*opus*", "x"]"""
    rule = group(tmp_path, f"    rules:\n      - when:{when}\n        target: {TARGET}\n").rules[0]
    assert rule.conditions == (
        Names("model", ("*opus*", "x")),
        Names("protocol", ("anthropic",)),
        Header("x-team", ("a*",)),
        Header("x-other", ("b", "c")),
        Flag("stream", True),
        Flag("background", False),
        Flag("images", True),
        Flag("documents", False),
        Flag("thinking", True),
        Flag("web_search", True),
        Names("effort", ("high", "max")),
        Names("tools", ("Bash",)),
        Names("subagent", ("Explore", "Plan")),
        Names("marker", ("review",)),
        Bounds(60_001, None),
    )


def test_truth_values_of_what_may_also_be_names(tmp_path: Path) -> None:
    keys = f"    rules: [{{when: {{tools: true, subagent: 'false'}}, target: {TARGET}}}]\n"
    assert group(tmp_path, keys).rules[0].conditions == (Flag("subagent", False), Flag("tools", True))


def test_the_three_answers_of_a_rule(tmp_path: Path) -> None:
    groups = f"""
  g:
    provider: local
    model: m
    rules:
      - {{name: one, when: {{images: true}}, target: {TARGET}}}
      - {{when: {{images: true}}, targets: [{TARGET}, {{provider: local, model: n, weight: 2}}], only: true}}
      - {{use: other}}
  other: {TARGET}
"""
    first, second, third = table(tmp_path, groups).groups["g"].rules
    assert (first.name, [each.model for each in first.targets], first.only) == ("one", ["m"], False)
    assert ([(each.model, each.weight) for each in second.targets], second.only) == (
        [("m", 1), ("n", 2)],
        True,
    )
    assert third == Rule(use="other")


def test_changes_of_a_group_and_of_a_target(tmp_path: Path) -> None:
    keys = """
  g:
    temperature_ratio: 0.5
    system:
      replace: [{find: a, with: b}, {regex: '(x+)$', with: '\\1', limit: 2}]
      prepend: P
      append: A
    tools: {exclude: "web_*"}
    headers: {X-Team: secret-team}
    targets:
      - {provider: local, model: m, temperature: 0.1, override: {seed: 4}, system: {text: T}, headers: {a: b}}
      - {provider: local, model: n}
"""
    found = table(tmp_path, keys).groups["g"]
    change = SystemChange(None, (Replacement("a", "b"), Replacement("(x+)$", "\\1", True, 2)), "P", "A")
    assert found.changes == Changes(0.5, change, ToolFilter(exclude=("web_*",)), {"X-Team": "secret-team"})
    first, second = found.targets
    assert (first.defaults, first.override) == (Parameters(temperature=0.1), Parameters(seed=4))
    assert first.changes == Changes(system=SystemChange("T"), headers={"a": "b"})
    assert second.changes is NO_CHANGES
    assert "secret-team" not in repr(found)


WRONG = [
    ("rules: [{when: {images: perhaps}, target: T}]", "rules[0].when.images", "must be true or false"),
    ("rules: [{when: {image: true}, target: T}]", "rules[0].when.image", "did you mean `images`"),
    ("rules: [{when: {tokens: many}, target: T}]", "rules[0].when.tokens", "over 60k"),
    ("rules: [{when: {effort: hgih}, target: T}]", "rules[0].when.effort[0]", "did you mean `high`"),
    (
        "rules: [{when: {protocol: anthropc}, target: T}]",
        "rules[0].when.protocol",
        "did you mean `anthropic`",
    ),
    ("rules: [{when: {images: true}}]", "rules[0]", "one of `target`, `targets` and `use`, and has none"),
    ("rules: [{use: g2, target: T}]", "rules[0]", "has `target` and `use`"),
    ("rules: [{use: nobody}]", "rules[0].use", "unknown group `nobody`"),
    ("rules: [{provider: local, model: m}]", "rules[0]", "target: {provider"),
    ("rules: [{target: {provider: lcal, model: m}}]", "rules[0].target.provider", "did you mean `local`"),
    ("rules: [{targets: [{provider: lcal, model: m}]}]", "rules[0].targets[0].provider", "`local`"),
    ("rules: [{target: T}, {when: {images: true}, target: T}]", "rules[0]", "always holds"),
    ("rules: [{use: g}]", "rules[0].use", "uses `g` itself"),
    ("rules: [{use: back}]", "rules[0].use", "uses `g` itself"),
    ("system: {replace: [{regex: '(a'}]}", "system.replace[0]", "is no regular expression: missing )"),
    ("system: {replace: [{regex: '(a)', with: '\\2'}]}", "system.replace[0]", "no group `2`"),
    ("system: {replace: [{find: a, regex: b}]}", "system.replace[0]", "either `find`"),
    ("system: {replace: [{find: a}], text: b}", "system", "either `text` or `replace`"),
    ("headers: {'a b': c}", "headers.a b", "cannot be the name of a header"),
    ("headers: {Content-Length: 5}", "headers.Content-Length", "is the hub's to set"),
    ("temperature_ratio: -1", "temperature_ratio", "at least 0"),
]


@pytest.mark.parametrize(("keys", "path", "message"), WRONG, ids=[keys for keys, _, _ in WRONG])
def test_what_is_refused_and_where(tmp_path: Path, keys: str, path: str, message: str) -> None:
    others = f"  g2: {TARGET}\n  back: {{provider: local, model: m, rules: [{{use: g}}]}}\n"
    line = f"  g:\n    provider: local\n    model: m\n    {keys.replace('T}', TARGET + '}')}\n"
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, others + line)
    problems = [each for each in caught.value.problems if each.where == f"groups.g.{path}"]
    assert len(problems) == 1, caught.value
    assert message in f"{problems[0].message}: {problems[0].hint}"
    assert problems[0].line is not None


def test_a_comparison_without_quotes_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match='needs quotes, ">60000"'):
        load(
            tmp_path, f"  g:\n    rules:\n      - when:\n          tokens: >60000\n        target: {TARGET}\n"
        )


def test_who_may_use_a_group_may_use_those_of_its_rules_through_it(tmp_path: Path) -> None:
    groups = f"""
  g: {{provider: local, model: m, rules: [{{when: {{images: true}}, use: eyes}}]}}
  eyes: {{provider: local, model: e, fallback: spare}}
  spare: {TARGET}
  else: {TARGET}
"""
    limited = limit_table(table(tmp_path, groups), frozenset({"g"}))
    assert (set(limited.groups), set(limited.reserve)) == ({"g"}, {"eyes", "spare"})
