"""From settings to the routing table."""

from __future__ import annotations

from typing import Any

import pytest

from hub.settings import LoadedSettings, Settings, SettingsError
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.snapshot import build_snapshot, build_table, embedded_providers, limit_table
from routing.table import Affinity, Limits, Parameters, Provider, Retry, Target, Timeouts

ENVIRON = {"OPENROUTER_API_KEY": " or-key\n", "OPENAI_API_KEY": "oa-key", "GOOGLE_API_KEY": "g-key"}


def provider_of(name: str, provider: dict[str, Any] | None, **arguments: Any) -> Provider:
    settings = Settings.model_validate(
        {
            "providers": {} if provider is None else {name: provider},
            "groups": {"g": {"model": "m", "provider": name}},
        }
    )
    return build_table(settings, ENVIRON, **arguments).groups["g"].targets[0].provider


def test_both_forms_of_a_group() -> None:
    settings = Settings.model_validate(
        {
            "providers": {"local": {"protocol": "anthropic", "base_url": "http://127.0.0.1:1/"}},
            "groups": {
                "short": {"model": "a", "provider": "openrouter", "temperature": 0.7, "stop": "END"},
                "long": {
                    "targets": [
                        {"provider": "local", "model": "b", "weight": 3},
                        {"provider": "openrouter", "model": "c"},
                    ],
                    "models": {"*haiku*": {"provider": "local", "model": "d"}},
                    "override": {"max_tokens": 5, "extra_body": {"x": [1]}},
                    "description": "words",
                },
            },
        }
    )
    table = build_table(settings, ENVIRON)
    openrouter = Provider(
        "openrouter", "openai", "https://openrouter.ai/api/v1", ("or-key",), timeouts=TIMEOUTS
    )
    local = Provider("local", "anthropic", "http://127.0.0.1:1", timeouts=TIMEOUTS)
    short, long = table.groups["short"], table.groups["long"]
    assert short.targets == (Target(openrouter, "a", 1),)
    assert short.defaults == Parameters(temperature=0.7, stop=("END",))
    assert short.override == Parameters()
    assert long.targets == (Target(local, "b", 3), Target(openrouter, "c", 1))
    assert long.models == (("*haiku*", Target(local, "d", 1)),)
    assert long.override == Parameters(max_tokens=5, extra_body={"x": [1]})
    assert long.description == "words"


TIMEOUTS = Timeouts(connect=10, first_byte=300, idle=300, total=None)


@pytest.mark.parametrize("name", KNOWN_PROVIDERS)
def test_known_providers_need_no_entry(name: str) -> None:
    provider = provider_of(name, None)
    known = KNOWN_PROVIDERS[name]
    assert (provider.protocol, provider.base_url) == (known.protocol, known.base_url)
    assert known.local or known.key_variables
    assert known.local == known.base_url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("name", "provider", "keys"),
    [
        ("openrouter", None, ("or-key",)),
        ("openrouter", {}, ("or-key",)),
        ("openrouter", {"api_key": "own"}, ("own",)),
        ("openrouter", {"api_keys": ["own", "two", "own"]}, ("own", "two")),
        ("openrouter", {"api_key": "one", "api_keys": ["two"]}, ("one", "two")),
        ("openrouter", {"api_key": ""}, ("or-key",)),
        ("openai-responses", None, ("oa-key",)),
        ("gemini", None, ("g-key",)),
        ("mistral", None, ()),
        ("ollama", None, ()),
        # The key of the environment is for the provider's own address alone.
        ("openai", {"base_url": "https://somebody.example/v1"}, ()),
        ("openai", {"embedded": {}}, ()),
        ("mine", {"protocol": "openai", "base_url": "http://x/v1"}, ()),
    ],
)
def test_keys(name: str, provider: dict[str, Any] | None, keys: tuple[str, ...]) -> None:
    assert provider_of(name, provider, embedded={"openai": "http://127.0.0.1:2/v1"}).api_keys == keys


def test_headers_and_timeouts() -> None:
    provider = provider_of("openai", {"headers": {"X-A": "secret"}, "timeouts": {"idle": 5, "total": 60}})
    assert provider.headers == {"X-A": "secret"}
    assert provider.timeouts == Timeouts(connect=10, first_byte=300, idle=5, total=60)
    assert "secret" not in repr(provider)
    assert "oa-key" not in repr(provider)


def test_default_group_is_the_first_one() -> None:
    groups = {name: {"model": "m", "provider": "ollama"} for name in ("b", "a")}
    assert build_table(Settings.model_validate({"groups": groups}), {}).default_group == "b"
    chosen = Settings.model_validate({"groups": groups, "default_group": "a"})
    assert build_table(chosen, {}).default_group == "a"
    assert build_table(Settings(), {}).default_group is None


def test_embedded_providers_get_their_address_at_run_time() -> None:
    settings = Settings.model_validate(
        {"providers": {"small": {"embedded": {}}}, "groups": {"g": {"model": "m", "provider": "small"}}}
    )
    assert set(embedded_providers(settings)) == {"small"}
    table = build_table(settings, {}, embedded={"small": "http://127.0.0.1:5/v1"})
    assert table.groups["g"].targets[0].provider == Provider(
        "small", "openai", "http://127.0.0.1:5/v1", timeouts=TIMEOUTS
    )
    with pytest.raises(SettingsError, match=r"the embedded model is not running at providers\.small"):
        build_table(settings, {})


def test_limited_keys_see_a_limited_table() -> None:
    settings = Settings.model_validate(
        {
            "groups": {name: {"model": "m", "provider": "ollama"} for name in ("a", "b", "c")},
            "keys": {"k": {"key": "x", "groups": ["b", "c"]}, "all": {"key": "y"}},
        }
    )
    snapshot = build_snapshot(LoadedSettings(settings))
    limited = snapshot.table_for(frozenset({"b", "c"}))
    assert (list(limited.groups), limited.default_group) == (["b", "c"], None)
    assert snapshot.table_for(frozenset({"b", "c"})) is limited
    assert snapshot.table_for(None) is snapshot.table
    assert snapshot.table_for(frozenset({"a"})).default_group == "a"
    assert not snapshot.table_for(frozenset()).groups


def test_equal_settings_make_equal_tables() -> None:
    settings = Settings.model_validate({"groups": {"g": {"model": "m", "provider": "openai"}}})
    assert build_table(settings, ENVIRON) == build_table(settings, dict(ENVIRON))
    assert build_table(settings, ENVIRON) != build_table(settings, {"OPENAI_API_KEY": "another"})


def test_how_a_group_shares_out_and_tries() -> None:
    settings = Settings.model_validate(
        {
            "providers": {
                "p": {
                    "protocol": "openai",
                    "base_url": "http://127.0.0.1:1/v1",
                    "limits": {"rpm": 60},
                    "timeouts": {"connect": 3},
                }
            },
            "groups": {
                "g": {
                    "targets": [
                        {"provider": "p", "model": "a", "priority": 1, "timeouts": {"total": 50}},
                        {"provider": "p", "model": "b", "limits": {"tpm": 9, "concurrency": 2}},
                    ],
                    "strategy": "latency",
                    "fallback": "plain",
                    "fallback_on": ["context_window"],
                    "affinity": {"ttl": "2h", "header": "X-Mine", "prefix": False},
                    "retry": {"budget": 7},
                    "timeouts": {"first_byte": 20, "total": 40},
                },
                "plain": {"provider": "p", "model": "c", "affinity": False},
            },
        }
    )
    groups = build_table(settings, {}).groups
    group, plain = groups["g"], groups["plain"]
    first, second = group.targets
    assert first.provider.limits == Limits(requests=60.0)
    assert (first.priority, first.limits, first.timeouts) == (1, None, Timeouts(3.0, 20.0, 300.0, 50.0))
    assert second.limits == Limits(tokens=9.0, concurrency=2)
    assert second.timeouts == Timeouts(3.0, 20.0, 300.0, 40.0)
    assert (group.strategy, group.fallback, group.retry) == ("latency", "plain", Retry(10, 7.0))
    assert group.fallback_on == {"context_window"}
    assert group.affinity == Affinity(7200.0, "x-mine", False)
    assert (plain.affinity, plain.retry, plain.fallback, plain.targets[0].timeouts) == (None,) * 4


def test_conversations_stay_unless_told_otherwise() -> None:
    settings = Settings.model_validate({"groups": {"g": {"provider": "ollama", "model": "m"}}})
    assert build_table(settings, {}).groups["g"].affinity == Affinity()


def test_a_limited_table_holds_what_its_groups_fall_back_to() -> None:
    one = {"provider": "ollama", "model": "m"}
    settings = Settings.model_validate(
        {"groups": {"a": {**one, "fallback": "b"}, "b": {**one, "fallback": "c"}, "c": one, "d": one}}
    )
    limited = limit_table(build_table(settings, {}), frozenset({"a"}))
    assert (set(limited.groups), set(limited.reserve)) == ({"a"}, {"b", "c"})
