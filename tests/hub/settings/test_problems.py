"""Bad settings files, and the exact problems that a person is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.settings import SettingsError, load_settings

ONE_PROBLEM: list[tuple[str, str, str]] = [
    # --- YAML itself
    (
        "tab",
        "server:\n\tport: 1\n",
        "not readable as YAML: while scanning for the next token found character '\\t' that cannot start any "
        "token (line 2): indent with spaces, not tabs",
    ),
    (
        "variable without quotes",
        "keys:\n  a: {key: ${KEY}}\n",
        "not readable as YAML: while parsing a flow mapping expected ',' or '}', but got '{' (line 2): "
        'between { } or [ ] a variable needs quotes, "${NAME}"',
    ),
    (
        "duplicate key",
        "groups: {}\nserver: {}\ngroups: {}\n",
        "`groups` is written twice at groups (line 3): the first one is on line 1; keep one of them",
    ),
    ("not a mapping", "- a\n", "a settings file is a mapping (`key: value`), not a list or a text (line 1)"),
    ("just text", "hello\n", "a settings file is a mapping (`key: value`), not a list or a text (line 1)"),
    ("key that is a list", "? [a, b]\n: 1\n", "a key must be a text, not a list or mapping (line 1)"),
    (
        "alias inside of itself",
        "groups: &a\n  b: *a\n",
        "an alias stands inside of what it repeats at groups.b (line 1)",
    ),
    (
        "emulated by a tool of no server",
        "emulate: {web_search: brave_search}\nmcpServers:\n  files: {command: x}\n",
        "no MCP server has the tool `brave_search` at emulate.web_search (line 1): "
        "write it as `hub tools` shows it: SERVER_TOOL",
    ),
    (
        "emulated by a tool of no server, in a group",
        "groups:\n  g: {model: m, provider: ollama, emulate: {web_search: files}}\n"
        "mcpServers:\n  files: {command: x}\n",
        "no MCP server has the tool `files` at groups.g.emulate.web_search (line 2): "
        "write it as `hub tools` shows it: SERVER_TOOL",
    ),
    # --- unknown keys
    (
        "unknown key",
        "groups:\n  kimi:\n    model: k2\n    provider: ollama\n    tempeture: 0.7\n",
        "unknown key `tempeture` at groups.kimi.tempeture (line 5): did you mean `temperature`?",
    ),
    ("unknown section", "sever: {}\n", "unknown key `sever` at sever (line 1): did you mean `server`?"),
    (
        "unknown key, nothing near",
        "profiles:\n  p:\n    zzzzzz: 1\n",
        "unknown key `zzzzzz` at profiles.p.zzzzzz (line 3): known here are `discovery`, "
        "`discovery_threshold`, `groups`, `pinned`, `servers`, `tools`",
    ),
    (
        "unknown key in a list",
        "groups:\n  g:\n    targets:\n      - {provider: ollama, model: m}\n      - provider: ollama\n"
        "        model: m\n        wait: 1\n",
        "unknown key `wait` at groups.g.targets[1].wait (line 7): did you mean `weight`?",
    ),
    # --- what may be one thing or another
    (
        "a switch or a mapping",
        "groups:\n  g: {provider: ollama, model: m, affinity: {ttl: forever}}\n",
        "`forever` is no length of time: write it like 7d, 12h or 30m at groups.g.affinity.ttl (line 2)",
    ),
    (
        "unknown key of a switch or a mapping",
        "groups:\n  g: {provider: ollama, model: m, affinity: {tll: 1h}}\n",
        "unknown key `tll` at groups.g.affinity.tll (line 2): did you mean `ttl`?",
    ),
    (
        "neither switch nor mapping",
        "groups:\n  g: {provider: ollama, model: m, affinity: maybe}\n",
        "must be true or false, not `maybe` at groups.g.affinity (line 2)",
    ),
    (
        "a key that cannot be one",
        "prices:\n  k3: {input: 1, output: 1}\n",
        "`k3` names no provider: write `provider/k3`, or `*/k3` for any at prices.k3 (line 2)",
    ),
    # --- types
    ("port", "server: {port: many}\n", "must be a whole number, not `many` at server.port (line 1)"),
    ("port range", "server:\n  port: 70000\n", "must be at most 65535, not `70000` at server.port (line 2)"),
    (
        "number",
        "groups:\n  g: {model: m, provider: ollama, temperature: warm}\n",
        "must be a number, not `warm` at groups.g.temperature (line 2)",
    ),
    (
        "not a number",
        "groups:\n  g: {model: m, provider: ollama, temperature: .nan}\n",
        "must be a number, not `.nan` at groups.g.temperature (line 2)",
    ),
    (
        "list for text",
        "groups:\n  g: {model: [m], provider: ollama}\n",
        "must be a text, not a list at groups.g.model (line 2)",
    ),
    (
        "text for mapping",
        "groups: kimi\n",
        "must be a mapping (`key: value`), not a text at groups (line 1)",
    ),
    (
        "mapping for list",
        "mcpServers:\n  s: {command: x, args: {a: 1}}\n",
        "must be a list, not a mapping at mcpServers.s.args (line 2)",
    ),
    (
        "true or false",
        "mcpServers:\n  s: {command: x, disabled: maybe}\n",
        "must be true or false, not `maybe` at mcpServers.s.disabled (line 2)",
    ),
    (
        "one of",
        "groups:\n  g: {model: m, provider: ollama, reasoning_effort: hihg}\n",
        "must be one of `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`, not `hihg` "
        "at groups.g.reasoning_effort (line 2): did you mean `high`?",
    ),
    (
        "two forms",
        "groups:\n  g: {model: m, provider: ollama, targets: [{provider: ollama, model: n}]}\n",
        "give either `model` and `provider`, or `targets`, not both at groups.g (line 2)",
    ),
    ("no form", "groups:\n  g:\n", "needs `model` and `provider`, or `targets` at groups.g (line 2)"),
    (
        "half a form",
        "groups:\n  g: {provider: ollama}\n",
        "`model` is missing beside `provider` at groups.g (line 2)",
    ),
    ("missing key", "keys:\n  me: {}\n", "needs either `key` or `hash` at keys.me (line 2)"),
    # --- variables
    (
        "missing variable",
        "mcpServers:\n  docs:\n    url: https://example.com/mcp\n    headers:\n      X: ${NOT_SET}\n",
        "the variable NOT_SET is not set, and is needed at mcpServers.docs.headers.X (line 5): set it in the "
        "environment or in `.env` beside the settings file, or write ${NOT_SET:-default}",
    ),
    (
        "input",
        'mcpServers:\n  docs: {url: "https://x/mcp", headers: {X: "${input:api-key}"}}\n',
        "`${input:api-key}` is asked for by the editor, which the hub cannot do at mcpServers.docs.headers.X "
        "(line 2): put the value into `.env` beside the settings file as API_KEY=… and write ${API_KEY}",
    ),
    (
        "no variable",
        'server: {host: "${a b}"}\n',
        "`${a b}` is not a variable at server.host (line 1): "
        "write ${NAME} or ${NAME:-default}, and $${…} for a text that is not one",
    ),
    (
        "open brace",
        'server: {host: "${HOST"}\n',
        "`${` without its `}`, or inside of another `${…}` at server.host (line 1): "
        "write ${NAME} or ${NAME:-default}, and $${…} for a text that is not a variable",
    ),
    # --- references
    (
        "unknown provider",
        "groups:\n  g: {model: m, provider: opnai}\n",
        "unknown provider `opnai` at groups.g.provider (line 2): did you mean `openai`?",
    ),
    (
        "unknown provider of a glob",
        'groups:\n  g:\n    model: m\n    provider: ollama\n    models:\n      "*x*":\n'
        "        {provider: zzz, model: m}\n",
        "unknown provider `zzz` at groups.g.models.*x*.provider (line 7): describe it under `providers`",
    ),
    (
        "no key",
        "groups:\n  g: {model: m, provider: openrouter}\n",
        "`openrouter` needs a key, and OPENROUTER_API_KEY is not set at groups.g.provider (line 2): "
        "set it in the environment or in `.env` beside the settings file",
    ),
    (
        "incomplete provider",
        "providers:\n  opnrouter: {}\n",
        "`opnrouter` is not a built-in provider and needs `protocol` and `base_url` "
        "at providers.opnrouter (line 2): did you mean `openrouter`?",
    ),
    (
        "unknown server",
        "mcpServers:\n  git: {command: x}\nprofiles:\n  p:\n    servers:\n      - git\n      - gti\n",
        "unknown MCP server `gti` at profiles.p.servers[1] (line 7): did you mean `git`?",
    ),
    (
        "unknown group",
        "profiles:\n  p: {groups: kimi}\n",
        "unknown group `kimi` at profiles.p.groups (line 2): there are no `groups`",
    ),
    (
        "unknown profile of a key",
        "keys:\n  k: {key: s3cret, profiles: [p]}\n",
        "unknown profile `p` at keys.k.profiles[0] (line 2): there are no `profiles`",
    ),
    (
        "unknown fallback",
        "groups:\n  kimi: {model: m, provider: ollama, fallback: kmi}\n",
        "unknown group `kmi` at groups.kimi.fallback (line 2): did you mean `kimi`?",
    ),
    (
        "a fallback of itself",
        "groups:\n  kimi: {model: m, provider: ollama, fallback: kimi}\n",
        "goes in a circle: kimi -> kimi at groups.kimi.fallback (line 2): leave out one of these fallbacks",
    ),
    (
        "unknown default group",
        "groups:\n  kimi: {model: m, provider: ollama}\ndefault_group: kim\n",
        "unknown group `kim` at default_group (line 3): did you mean `kimi`?",
    ),
    # --- names
    (
        "reserved",
        "groups:\n  mcp: {model: m, provider: ollama}\n",
        "`/mcp` is a route of the hub itself at groups.mcp (line 2): choose another name",
    ),
    (
        "collision",
        "mcpServers:\n  git: {command: x}\nprofiles:\n  git: {}\n",
        "the MCP server on line 2 has the name `git` too at profiles.git (line 4): "
        "both would be /mcp/git, rename one of them",
    ),
    (
        "not for a URL",
        "groups:\n  my group/1: {model: m, provider: ollama}\n",
        "`my group/1` cannot stand in a URL at groups.my group/1 (line 2): "
        "use letters, digits, `.`, `_` and `-`, such as `my-group-1`",
    ),
    (
        "not for a tool",
        "mcpServers:\n  io.github/x: {command: x}\n",
        "`io.github/x` cannot begin a tool's name at mcpServers.io.github/x (line 2): "
        "use at most 48 letters, digits, `_` and `-`, such as `io-github-x`",
    ),
    # --- URLs
    (
        "no scheme",
        "providers:\n  p: {protocol: openai, base_url: localhost:8000/v1}\n",
        "must be a whole URL at providers.p.base_url (line 2): begin it with http:// or https://",
    ),
    (
        "query",
        'providers:\n  p: {protocol: openai, base_url: "http://x/v1?api-version=1"}\n',
        "must end with its path at providers.p.base_url (line 2): leave out what follows `?` or `#`",
    ),
    (
        "password",
        "mcpServers:\n  s: {url: https://me:hush@example.com/mcp}\n",
        "must not hold a user or password at mcpServers.s.url (line 2): "
        "put them into `headers`, as Authorization",
    ),
    (
        "websocket",
        "mcpServers:\n  s: {url: wss://example.com/mcp}\n",
        "a WebSocket is not a transport of MCP at mcpServers.s.url (line 2): give the server's http(s) URL",
    ),
    (
        "two transports",
        "mcpServers:\n  s: {command: x, url: https://example.com/mcp}\n",
        "needs either `command` (a program to start) or `url` (a server to reach) at mcpServers.s (line 2)",
    ),
    (
        "type and command",
        "mcpServers:\n  s: {type: sse, command: x}\n",
        "`type: sse` needs `url`, not `command` at mcpServers.s (line 2)",
    ),
    (
        "embedded with a URL",
        "providers:\n  p: {embedded: {}, base_url: http://x}\n",
        "an embedded model has no `base_url` at providers.p.base_url (line 2): remove one of the two",
    ),
    # --- safety
    (
        "open to the network",
        "server:\n  host: 0.0.0.0\n",
        "listening on 0.0.0.0 without `keys` would give everyone in the network your tools and models "
        "at server.host (line 2): make a key (`hub keys add NAME`, or `keys` in the settings), "
        "or say `allow_no_keys: true` under `server` as well",
    ),
    (
        "key and hash",
        "keys:\n  a: {key: x, hash: y}\n",
        "must be `sha256:` and the 64 hexadecimal digits of the key's SHA-256 at keys.a.hash (line 2)",
    ),
    (
        "wrong budget",
        "keys:\n  a: {key: x, budget: 5/week}\n",
        "must be an amount in US dollars: `10/day`, `25.50/month`, or `100` once and for all "
        "at keys.a.budget (line 2)",
    ),
    (
        "wrong date",
        "keys:\n  a: {key: x, expires: soon}\n",
        "must be a date or a time, like `2027-01-31` or `2027-01-31T18:00:00Z` at keys.a.expires (line 2)",
    ),
    (
        "unknown server of a key",
        "keys:\n  a: {key: x, servers: [git]}\n",
        "unknown MCP server `git` at keys.a.servers[0] (line 2): there are no `mcpServers`",
    ),
    (
        "same key as text and hash",
        "keys:\n  a: {key: s3cret}\n"
        "  b: {hash: 'sha256:1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0'}\n",
        "is the same as that of `a` at keys.b.hash (line 3): give each its own",
    ),
    (
        "same key twice",
        "keys:\n  a: {key: s3cret}\n  b: {key: s3cret}\n",
        "is the same as that of `a` at keys.b.key (line 3): give each its own",
    ),
    (
        "empty key",
        "keys:\n  a: {key: ' '}\n",
        "must be one line of ASCII characters, and not empty at keys.a.key (line 2)",
    ),
    (
        "header with a line break",
        'mcpServers:\n  s: {url: "https://x/mcp", headers: {A: "b\\nc"}}\n',
        "has a line break or another character that a header cannot have at mcpServers.s.headers.A (line 2)",
    ),
    (
        "origin",
        "server: {allowed_origins: [app.example.com]}\n",
        "must be an origin at server.allowed_origins[0] (line 1): "
        "write it as https://app.example.com, without a path",
    ),
    (
        "host with a port",
        "server:\n  allowed_hosts: hub.example.com:80\n",
        "must be a host name alone at server.allowed_hosts (line 2): "
        "write it as hub.example.com, without scheme and port",
    ),
    # --- pasted blocks
    (
        "tool choice",
        "mcpServers:\n  s: {command: x, excludeTools: [rm]}\n",
        "`excludeTools` does not belong to a server here at mcpServers.s.excludeTools (line 2): "
        'write it into a profile, as `tools: {exclude: ["s_…"]}`',
    ),
    (
        "two names of one key",
        "mcpServers:\n  s: {url: https://a/mcp, serverUrl: https://b/mcp}\n",
        "`serverUrl` is another name of `url`, which is there too at mcpServers.s.serverUrl (line 2): "
        "keep one",
    ),
    (
        "the same key in a list",
        "keys:\n  - a\n  - b\n  - a\n",
        "is the same as that of `key-1` at keys.key-3.key (line 4): give each its own",
    ),
    (
        "nothing in a list of keys",
        "keys: ['']\n",
        "must be one line of ASCII characters, and not empty at keys.key-1.key (line 1)",
    ),
    (
        "unknown protocol",
        "providers:\n  p: {protocol: antropic, base_url: https://x}\n",
        "must be one of `openai`, `openai-responses`, `anthropic`, `gemini` or `ollama`, not `antropic` "
        "at providers.p.protocol (line 2): did you mean `anthropic`?",
    ),
    (
        "unknown type",
        "mcpServers:\n  s: {type: grpc, url: https://a/mcp}\n",
        "must be one of `stdio`, `http` or `sse`, not `grpc` at mcpServers.s.type (line 2)",
    ),
]


def problems_of(path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ=environ or {})
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "problem"), [row[1:] for row in ONE_PROBLEM], ids=[row[0] for row in ONE_PROBLEM]
)
def test_one_problem(tmp_path: Path, text: str, problem: str) -> None:
    assert problems_of(tmp_path / "hub.yaml", text) == [problem]


def test_every_problem_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
server: {port: abc}
providers:
  openai: {api_key: "${NOPE}"}
  local: {protocol: openai, base_url: localhost:8000}
groups:
  kimi: {model: k2, provider: opnai, tempeture: 0.3}
  api: {model: x, provider: ollama}
mcpServers:
  both: {command: a, url: "https://b"}
profiles:
  p: {servers: [bth]}
default_group: kim
"""
    problems = problems_of(tmp_path / "hub.yaml", text)
    assert [problem.split("(line ")[1].split(")")[0] for problem in problems] == [
        *("1", "3", "4", "6", "6", "7", "9", "11", "12")
    ]


@pytest.mark.parametrize(
    "text",
    [
        'server: {port: "${SECRET}"}\n',
        'groups: {g: {model: m, provider: ollama, temperature: "${SECRET}"}}\n',
        'groups: {g: {model: m, provider: ollama, reasoning_effort: "${SECRET}"}}\n',
        'providers: {p: {protocol: openai, base_url: "${SECRET}"}}\n',
        'providers: {p: {protocol: openai, base_url: "http://x", api_keys: "hunter2"}}\n',
        'providers: {p: {protocol: openai, base_url: "http://x", headers: "hunter2"}}\n',
        "keys: hunter2\n",
        "keys: [hunter2, hunter2]\n",
        "keys: {a: hunter2, b: hunter2}\n",
        "providers: {p: hunter2}\n",
        'keys: {a: {key: "${SECRET}"}, b: {key: "${SECRET}"}}\n',
        'mcpServers: {s: {command: x, env: "hunter2"}}\n',
    ],
)
def test_no_problem_repeats_a_secret(tmp_path: Path, text: str) -> None:
    problems = problems_of(tmp_path / "hub.yaml", text, {"SECRET": "hunter2"})
    assert problems
    assert "hunter2" not in "\n".join(problems)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "hub.yaml"
    with pytest.raises(SettingsError, match="there is no settings file"):
        load_settings(missing, environ={})
    with pytest.raises(SettingsError, match="is a folder"):
        load_settings(tmp_path, environ={})
    missing.write_bytes(b"server:\n  host: \xff\n")
    with pytest.raises(SettingsError, match=r"is not UTF-8 text at .*hub.yaml \(line 2\)"):
        load_settings(missing, environ={})


def test_too_many_values_are_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (problem,) = problems_of(tmp_path / "hub.yaml", "\n".join(lines))
    assert "more than 100000 values are not settings" in problem


def test_deep_nesting_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path / "hub.yaml", "[" * 5000)
    assert problem.startswith("not readable as YAML")
