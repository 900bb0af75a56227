"""Good settings: variables, `.env`, the environment, the command line, and blocks pasted from IDEs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.settings import (
    LoadedSettings,
    Problem,
    Settings,
    SettingsError,
    default_settings_path,
    load_settings,
)
from hub.settings.document import parse
from hub.settings.known_providers import KNOWN_PROVIDERS

Load = Callable[..., LoadedSettings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def from_text(text: str, **arguments: Any) -> LoadedSettings:
        path = tmp_path / "hub.yaml"
        path.write_text(text)
        return load_settings(path, **{"environ": {}, **arguments})

    return from_text


def test_empty_file_means_the_defaults(load: Load) -> None:
    assert load("").settings == Settings() == load("# nothing\n").settings == load("groups:\n").settings


def test_values_stay_as_written_until_the_model_reads_them(load: Load) -> None:
    loaded = load(
        """
groups:
  4o: {model: 4.10, provider: ollama, temperature: "0.5", max_tokens: 100, stop: 3}
  on: {model: no, provider: ollama}
mcpServers:
  s: {command: x, args: [-y, 010, 1.50], env: {PORT: 080, YES: yes, EMPTY: ""}}
""",
    ).settings
    assert loaded.groups["4o"].model == "4.10"
    assert loaded.groups["4o"].temperature == 0.5
    assert loaded.groups["4o"].stop == ("3",)
    assert loaded.groups["on"].model == "no"
    assert loaded.mcp_servers["s"].args == ("-y", "010", "1.50")
    env = {name: value.get_secret_value() for name, value in loaded.mcp_servers["s"].env.items()}
    assert env == {"PORT": "080", "YES": "yes", "EMPTY": ""}


def test_extra_body_has_the_types_of_yaml(load: Load) -> None:
    loaded = load(
        """
groups:
  g:
    model: m
    provider: ollama
    extra_body:
      {a: 1, b: "1", c: [true, null, 1.5, text]}
    override:
      extra_body:
        quoted: "${N}"
        plain: ${N}
""",
        environ={"N": "7"},
    )
    group = loaded.settings.groups["g"]
    assert group.extra_body == {"a": 1, "b": "1", "c": [True, None, 1.5, "text"]}
    assert group.override is not None
    assert group.override.extra_body == {"quoted": "7", "plain": 7}


def test_anchors_and_merge_keys(load: Load) -> None:
    loaded = load(
        """
x-defaults: &warm {provider: ollama, temperature: 0.9, model: a}
groups:
  one: *warm
  two: {<<: *warm, model: b}
"""
    ).settings
    assert loaded.groups["one"].model == "a"
    assert (loaded.groups["two"].model, loaded.groups["two"].temperature) == ("b", 0.9)


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        ("${A}", "one"),
        ("${env:A}", "one"),
        ("x-${A}-${B}", "x-one-two"),
        ("${A:-z}", "one"),
        ("${UNSET:-z}", "z"),
        ("${EMPTY:-z}", "z"),
        ("${EMPTY}", ""),
        ("${UNSET:-}", ""),
        ("${UNSET:-http://x:1/}", "http://x:1/"),
        ("$${A}", "${A}"),
        ("$A costs $5", "$A costs $5"),
        ("{env:A}", "one"),
        ("${userHome}", str(Path.home())),
        ("${HARMLESS}", "${A}"),
    ],
)
def test_variables(load: Load, written: str, expanded: str) -> None:
    environ = {"A": "one", "B": "two", "EMPTY": "", "HARMLESS": "${A}"}
    loaded = load(f"mcpServers:\n  s: {{command: x, args: ['{written}']}}\n", environ=environ)
    assert loaded.settings.mcp_servers["s"].args == (expanded,)


def test_workspace_folder_is_that_of_the_settings(load: Load, tmp_path: Path) -> None:
    loaded = load("mcpServers:\n  s: {command: x, args: ['${workspaceFolder}/a'], cwd: sub}\n").settings
    assert loaded.mcp_servers["s"].args == (f"{tmp_path}/a",)
    assert loaded.mcp_servers["s"].cwd == tmp_path / "sub"


def test_dotenv_lies_below_the_environment(load: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        'A=file\nexport B="from file" # why\nOPENAI_API_KEY=k\nHUB_SERVER__PORT=7\n'
    )
    loaded = load(
        "mcpServers:\n  s: {command: x, args: ['${A}', '${B}']}\n"
        "groups:\n  g: {model: m, provider: openai}\n",
        environ={"A": "real"},
    )
    assert loaded.settings.mcp_servers["s"].args == ("real", "from file")
    assert loaded.settings.server.port == 7
    assert loaded.environ["OPENAI_API_KEY"] == "k"
    assert tmp_path / ".env" in loaded.files


def test_environment_and_command_line_win(load: Load) -> None:
    text = (
        "server: {port: 1, host: localhost}\nproviders:\n  my-Local: {protocol: openai, base_url: http://x}\n"
    )
    environ = {
        "HUB_SERVER__PORT": "2",
        "HUB_SERVER__LOG_LEVEL": "debug",
        "HUB_PROVIDERS__MY_LOCAL__API_KEY": "secret",
        "HUB_PROVIDERS__NEW__PROTOCOL": "ollama",
        "HUB_PROVIDERS__NEW__BASE_URL": "http://y",
        "HUB_GROUPS__G__MODEL": "m",
        "HUB_GROUPS__G__PROVIDER": "new",
        "HUB_GROUPS__G__TARGETS": "[]",
        "HUB_GROUPS__G__EXTRA_BODY": '{"n": 1}',
        "HUB_MCP_SERVERS__GIT__COMMAND": "git-server",
        "HUB_MCPSERVERS__GIT__ARGS": '["-a", "b"]',
        "HUB_KEYS": "{me: {key: abc}}",
        "HUB_DEFAULT_GROUP": "g",
        "HUB_TOKEN": "somebody else's",
        "HUB_SERVER": "somebody else's",
    }
    loaded = load(text, environ=environ, overrides={"server.port": 3, "server": {"host": None}}).settings
    assert (loaded.server.port, loaded.server.host, loaded.server.log_level) == (3, "localhost", "debug")
    key = loaded.providers["my-Local"].api_key
    assert key is not None
    assert key.get_secret_value() == "secret"
    assert loaded.groups["g"].extra_body == {"n": 1}
    assert loaded.mcp_servers["git"].args == ("-a", "b")
    assert loaded.keys["me"].key.get_secret_value() == "abc"
    assert loaded.default_group == "g"


def test_a_part_goes_over_the_whole_and_a_foreign_variable_over_nothing(load: Load) -> None:
    environ = {
        "HUB_GROUPS__G__SEED": "7",
        "hub_groups__g": "{model: m, provider: ollama, seed: 1}",
        "HUB_GROUPS__G__EXTRA_BODY": "{a: 1}",
        "HUB_GROUPS__G__EXTRA_BODY__B": "2",
        "HUB_SERVER": "my-server",
        "HUB_SERVER__PORT": "2",
        "HUB_SERVERS__PORT": "3",
    }
    loaded = load("server: {log_level: error}\n", environ=environ).settings
    assert (loaded.groups["g"].model, loaded.groups["g"].seed) == ("m", 7)
    assert loaded.groups["g"].extra_body == {"a": 1, "b": 2}
    assert (loaded.server.port, loaded.server.log_level) == (2, "error")


@pytest.mark.parametrize(
    ("text", "environ", "keys"),
    [
        ("keys: [a, '${B}']\n", {"B": "b"}, {"key-1": "a", "key-2": "b"}),
        ("keys: {me: abc, you: 010}\n", {}, {"me": "abc", "you": "010"}),
        ("keys: {me: abc, you: {key: def, groups: []}}\n", {}, {"me": "abc", "you": "def"}),
        ("keys: [a, {key: b, groups: []}]\n", {}, {"key-1": "a", "key-2": "b"}),
        ("keys: []\n", {}, {}),
        ("keys:\n", {"HUB_KEYS": "[a, b]"}, {"key-1": "a", "key-2": "b"}),
        ("keys: {me: abc}\n", {"HUB_KEYS__YOU": "def"}, {"me": "abc", "you": "def"}),
        ("keys: [a]\n", {"HUB_KEYS__0": "b"}, {"key-1": "b"}),
    ],
)
def test_short_forms_of_keys(load: Load, text: str, environ: dict[str, str], keys: dict[str, str]) -> None:
    loaded = load(text, environ=environ).settings.keys
    assert {name: entry.key.get_secret_value() for name, entry in loaded.items()} == keys


def test_settings_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load_settings(None, environ={"HUB_SERVER__PORT": "5"})
    assert loaded.settings.server.port == 5
    assert loaded.path is None
    assert tmp_path / "hub.yaml" in loaded.files


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"HUB_SERVER__PROT": "1"},
            "unknown key `prot` at the environment variable HUB_SERVER__PROT: did you mean `port`?",
        ),
        (
            {"HUB_SERVER__PORT": "x"},
            "must be a whole number, not `x` at the environment variable HUB_SERVER__PORT",
        ),
        (
            {"HUB_SERVER__PORT__X": "1"},
            "there is no `x` to set in `server.port` at the environment variable HUB_SERVER__PORT__X",
        ),
        (
            {"HUB_KEYS": "{"},
            "not readable as YAML: while parsing a flow node expected the node content, but found "
            "'<stream end>' at the environment variable HUB_KEYS",
        ),
    ],
)
def test_problems_of_the_environment(load: Load, environ: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load("server: {port: 1}\n", environ=environ)
    assert [str(problem) for problem in caught.value.problems] == [problem]


def test_default_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, home = tmp_path / "here", tmp_path / "config" / "ccproxy-hub"
    here.mkdir()
    home.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert default_settings_path() is None
    (home / "hub.yaml").touch()
    assert default_settings_path() == home / "hub.yaml"
    (here / "hub.yaml").touch()
    assert default_settings_path() == here / "hub.yaml"


# --- blocks pasted from IDEs

PASTED: list[tuple[str, str, dict[str, Any]]] = [
    ("Claude Code", "{type: stdio, command: npx, args: [-y, x], env: {A: b}}", {"transport": "stdio"}),
    ("Claude Code, HTTP", "{type: http, url: https://x/mcp}", {"transport": "http", "url": "https://x/mcp"}),
    ("SSE", "{type: sse, url: https://x/sse}", {"transport": "sse"}),
    ("Cursor", "{url: https://x/mcp}", {"transport": "http"}),
    ("VS Code", "{type: http, url: https://x/mcp, gallery: true, version: 1.0.0}", {"transport": "http"}),
    ("Windsurf", "{serverUrl: https://x/mcp}", {"transport": "http", "url": "https://x/mcp"}),
    (
        "Gemini CLI",
        "{httpUrl: https://x/mcp, timeout: 600000, trust: true, description: text}",
        {"url": "https://x/mcp", "timeout": 600.0},
    ),
    (
        "Cline",
        "{type: streamableHttp, url: https://x/mcp, autoApprove: [a], disabled: true, timeout: 1800}",
        {"transport": "http", "disabled": True, "timeout": 1800.0},
    ),
    (
        "opencode, local",
        "{type: local, command: [npx, -y, x], environment: {A: b}, enabled: false}",
        {"transport": "stdio", "command": "npx", "args": ("-y", "x"), "disabled": True},
    ),
    ("opencode, remote", "{type: remote, url: https://x/mcp, enabled: true}", {"disabled": False}),
    ("MCP registry", "{type: streamable-http, url: https://x/mcp}", {"transport": "http"}),
    ("FastMCP", "{transport: sse, url: https://x/sse}", {"transport": "sse"}),
    ("every tool", '{command: x, tools: ["*"]}', {"transport": "stdio"}),
]


@pytest.mark.parametrize(("block", "expected"), [row[1:] for row in PASTED], ids=[row[0] for row in PASTED])
def test_pasted_block(load: Load, block: str, expected: dict[str, Any]) -> None:
    server = load(f"mcpServers:\n  s: {block}\n").settings.mcp_servers["s"]
    assert {name: getattr(server, name) for name in expected} == expected


@pytest.mark.parametrize("section", ["servers", "mcp", "context_servers", "mcp_servers"])
def test_other_names_of_the_section(load: Load, section: str) -> None:
    loaded = load(f"{section}:\n  s: {{command: x}}\ninputs: [{{id: a}}]\n")
    assert set(loaded.settings.mcp_servers) == {"s"}
    assert loaded.notes == (
        f"`{section}` was read as `mcpServers`",
        "`inputs` was left out: the hub asks nothing, write ${VAR} and set VAR in `.env`",
    )


def test_notes_name_what_was_left_out(load: Load) -> None:
    loaded = load("mcpServers:\n  s: {command: x, alwaysAllow: [a], trust: true, timeout: 60000}\n")
    assert loaded.notes == (
        "mcpServers.s: alwaysAllow, trust left out, they are the editor's own",
        "mcpServers.s: timeout 60000 was read as milliseconds",
    )


def test_env_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / "server.env").write_text("A=1\nB=2\n")
    text = "mcpServers:\n  s: {command: x, envFile: '${workspaceFolder}/server.env', env: {B: own}}\n"
    loaded = load(text)
    env = {name: value.get_secret_value() for name, value in loaded.settings.mcp_servers["s"].env.items()}
    assert env == {"A": "1", "B": "own"}
    assert tmp_path / "server.env" in loaded.files
    (tmp_path / "server.env").unlink()
    with pytest.raises(SettingsError, match=r"there is no such file at mcpServers\.s\.envFile") as caught:
        load(text)
    assert tmp_path / "server.env" in caught.value.files


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "groups:\n  g: {model: m, provider: ollama}\n",
            "the provider ollama is at http://127.0.0.1:11434, which is",
        ),
        (
            "providers:\n  p: {protocol: anthropic, base_url: https://x/v1}\n"
            "groups:\n  g: {model: m, provider: p}\n",
            "providers.p: the protocol anthropic adds /v1 itself",
        ),
    ],
)
def test_notes_on_what_is_hardly_meant(load: Load, text: str, note: str) -> None:
    assert [one[: len(note)] for one in load(text).notes] == [note]


# --- whatever the input

words = st.sampled_from(
    (
        *("server", "groups", "mcpServers", "providers", "keys", "profiles", "port", "headers", "env", "key"),
        *("targets", "models", "model", "provider", "ollama", "url", "extra_body", "envFile", "timeout"),
        *("<<", "*a", "&a", "${A}", "${", "~", "1e400"),
    )
)
anything = st.recursive(
    st.one_of(words, st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(words, st.text(max_size=6)), inner, max_size=4)
    ),
    max_leaves=20,
)


def settings_or_problems(path: Path | None, environ: dict[str, str]) -> Settings | tuple[Problem, ...]:
    try:
        return load_settings(path, environ=environ).settings
    except SettingsError as error:
        return error.problems


def _yaml(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{_yaml(key)}: {_yaml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_yaml, value)) + "]"
        case _:
            return str(value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        anything.map(lambda value: _yaml(value).encode("utf-8", "surrogatepass")),
        st.dictionaries(words, anything, min_size=1).map(
            lambda value: _yaml(value).encode("utf-8", "surrogatepass")
        ),
    )
)
def test_any_content_is_settings_or_a_settings_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hub.yaml"
    path.write_bytes(content)
    outcome = settings_or_problems(path, {})
    assert isinstance(outcome, Settings) or (outcome and all(problem.message for problem in outcome))


@settings(max_examples=100, deadline=None)
@given(environ=st.dictionaries(words.map(lambda word: f"HUB_{word.upper()}__A__B"), st.text(max_size=10)))
def test_any_environment_is_settings_or_a_settings_error(environ: dict[str, str]) -> None:
    assert settings_or_problems(None, environ)


def test_lines_of_a_document() -> None:
    document = parse("a:\n  b:\n    - c\n    - d: 1\n")
    assert {path: place.line for path, place in document.places.items()} == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "b", 0): 3,
        ("a", "b", 1): 4,
        ("a", "b", 1, "d"): 4,
    }


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000"),
        ("box", "http://box:11434"),
        ("box:9000", "http://box:9000"),
        ("http://box:9000/", "http://box:9000"),
        ("https://box", "https://box:443"),
        (":9000", "http://127.0.0.1:9000"),
    ],
)
def test_ollama_host(written: str, url: str) -> None:
    assert KNOWN_PROVIDERS["ollama"].url({"OLLAMA_HOST": written}) == url
