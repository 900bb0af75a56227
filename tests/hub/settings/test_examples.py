"""Every example under `configs/` loads, fits the schema, and names it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hub.settings import Settings, load_settings
from hub.settings.known_providers import KNOWN_PROVIDERS
from hub.settings.schema import schema_text, settings_schema
from hub.snapshot import build_table, embedded_providers

CONFIGS = Path(__file__).parents[3] / "configs"
EXAMPLES = sorted(CONFIGS.glob("*.yaml"))


def dummy_environment(text: str) -> dict[str, str]:
    """A value for every variable that the text or a built-in provider asks for."""
    written = re.findall(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)", text)
    built_in = [name for known in KNOWN_PROVIDERS.values() for name in known.key_variables]
    return {name: f"dummy-{name.lower()}" for name in (*written, *built_in)}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_loads(path: Path) -> None:
    loaded = load_settings(path, environ=dummy_environment(path.read_text()))
    running = dict.fromkeys(embedded_providers(loaded.settings), "http://127.0.0.1:1/v1")
    table = build_table(loaded.settings, loaded.environ, embedded=running)
    assert set(table.groups) == set(loaded.settings.groups)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_fits_the_schema_and_names_it(path: Path) -> None:
    text = path.read_text()
    assert re.fullmatch(r"# yaml-language-server: \$schema=(\./)?hub\.schema\.json", text.splitlines()[0])
    jsonschema.validate(yaml.safe_load(text), settings_schema())


def test_schema_is_the_generated_one() -> None:
    assert (CONFIGS / "hub.schema.json").read_text() == schema_text(), (
        "run: python -m hub.settings.schema > configs/hub.schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(settings_schema())


WRONG: list[dict[str, Any]] = [
    {"sever": {}},
    {"server": {"port": "many"}},
    {"server": {"port": 70000}},
    {"groups": {"g": {"model": "m", "provider": "openai", "tempeture": 1}}},
    {"mcpServers": {"s": {"command": "x", "typ": "stdio"}}},
    {"providers": {"p": {"protocol": 5}}},
    {"keys": {"me": 1}},
    {"keys": "abc"},
]


@pytest.mark.parametrize("document", WRONG, ids=str)
def test_schema_refuses(document: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, settings_schema())


def test_schema_accepts_variables_and_other_spellings() -> None:
    jsonschema.validate(
        {
            "x-common": {"anything": 1},
            "server": {"port": "${PORT:-8080}"},
            "providers": {"openrouter": None},
            "groups": {"g": {"model": "m", "provider": "mine", "temperature": "${T}", "stop": "END"}},
            "mcpServers": {
                "a": {"type": "streamableHttp", "url": "https://x/mcp", "alwaysAllow": []},
                "b": {"type": "local", "command": ["npx", "x"], "environment": {"PORT": 1}},
            },
        },
        settings_schema(),
    )


@pytest.mark.parametrize(
    "keys", [["a", {"key": "b"}], {"me": "abc", "you": {"key": "def", "groups": "g"}}, None, []], ids=str
)
def test_schema_accepts_keys(keys: object) -> None:
    jsonschema.validate({"keys": keys}, settings_schema())


def test_full_example_has_every_key() -> None:
    """What `full.yaml` leaves out is not "every key, commented"."""
    text = (CONFIGS / "full.yaml").read_text()
    written = {part for line in text.splitlines() for part in re.findall(r"([A-Za-z_]+):", line)}
    assert _keys_of(Settings.model_json_schema(by_alias=True)) <= written


def _keys_of(schema: dict[str, Any]) -> set[str]:
    objects = [schema, *schema["$defs"].values()]
    return {name for one in objects for name in one.get("properties", {})}
