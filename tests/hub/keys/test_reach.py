"""Every route by every kind of key: what a key is not for answers 403, and nothing behind it hears of it.

The routes come from the codecs and from the hub itself, so a new one is tried here without being added.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from adapters.registry import codecs
from hub.app import Hub
from hub.keys.store import StoredKey, change, digest_of, now
from hub.settings import load_settings
from tests.hub.mcp.harness import EVERYTHING
from tests.routing.scripted_upstream import Connection, Received, ScriptedUpstream, scripted

Source = Literal["settings", "stored"]

KINDS: dict[str, dict[str, Any]] = {
    "unlimited": {},
    "group": {"groups": ["own"]},
    "profile": {"profiles": ["mine"]},
    "group and profile": {"groups": ["own"], "profiles": ["mine"]},
    "no group": {"groups": []},
    "no profile": {"profiles": []},
    "server": {"servers": ["git"]},
    "server and profile": {"servers": ["git"], "profiles": ["mine"]},
    "tools": {"tools": ["git_*"]},
    "metered": {"rpm": 100_000, "budget": "1000000/day"},
    "expired": {"expires": "2020-01-01"},
    "lasting": {"expires": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
}
REFUSED = ("expired", "revoked", "wrong", "none")
"""Those that open nothing at all."""
ALL = (*KINDS, "revoked", "wrong", "none")

GROUPS = ("own", "other")
PROFILES = ("mine", "theirs")
SERVERS = ("git", "files")


def key_of(kind: str) -> str:
    return f"hub_{kind.replace(' ', '-')}-0123456789"


@dataclass
class House:
    """A whole hub in this process, its doors, and what has come to the model of each group."""

    hub: Hub
    client: httpx.AsyncClient
    upstreams: dict[str, ScriptedUpstream]

    def heard(self, group: str) -> int:
        return len(self.upstreams[group].requests)

    async def ask(
        self, method: str, path: str, kind: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        credential = {} if kind == "none" else {"authorization": f"Bearer {key_of(kind)}"}
        content = json.dumps(body).encode() if body is not None else None
        return await self.client.request(method, path, content=content, headers={**credential, **headers})


async def nothing(received: Received, connection: Connection) -> None:
    await connection.head(400, {"content-type": "application/json"})
    await connection.chunk(b'{"error":{"message":"not today","type":"invalid_request_error"}}')
    await connection.end()


@asynccontextmanager
async def house(folder: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    for variable in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(folder))
    async with scripted(nothing) as own, scripted(nothing) as other:
        upstreams = {"own": own, "other": other}
        settings: dict[str, Any] = {
            "server": {"keys_file": "keys.json"},
            "providers": {
                name: {"protocol": "openai", "base_url": f"{upstream.url}/v1"}
                for name, upstream in upstreams.items()
            },
            "groups": {
                "own": {
                    "model": "m",
                    "provider": "own",
                    "models": {"own-alias": {"provider": "own", "model": "a"}},
                },
                "other": {
                    "model": "m",
                    "provider": "other",
                    "models": {"other-alias": {"provider": "other", "model": "a"}},
                },
            },
            "default_group": "other",
            "mcpServers": {
                name: {"command": sys.executable, "args": [str(EVERYTHING), "stdio"]} for name in SERVERS
            },
            "profiles": {"mine": {}, "theirs": {}},
        }
        if source == "settings":
            settings["keys"] = {kind: {"key": key_of(kind), **limits} for kind, limits in KINDS.items()}
        else:
            store(folder / "keys.json")
        (folder / "hub.yaml").write_text(json.dumps(settings))
        async with Hub(lambda: load_settings(folder / "hub.yaml", environ={})) as hub:
            await hub.mcp.wait_settled(20)
            transport = httpx.ASGITransport(hub.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                yield House(hub, client, upstreams)


def store(path: Path) -> None:
    def edit(keys: dict[str, StoredKey]) -> None:
        for kind, limits in {**KINDS, "revoked": {}}.items():
            fields = {"hash": digest_of(key_of(kind)), "created": now(), **limits}
            keys[kind] = StoredKey.model_validate(fields)

    change(path, edit)
    change(path, lambda keys: keys.pop("revoked"))


# ---------------------------------------------------------------- chat

MODELS = ("anything", "own", "other", "own-alias", "other-alias")
PREFIXES = ("", "/own", "/other", "/switch", "/compat", "/own/compat", "/other/compat", "/switch/compat")


@dataclass(frozen=True)
class Asked:
    """One request, and the group that it names; "": none."""

    method: str
    path: str
    named: str
    body: Any = field(default=None, compare=False)


BODY = {
    "messages": [{"role": "user", "content": "hi"}],
    "input": "hi",
    "prompt": "hi",
    "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    "content": {"parts": [{"text": "hi"}]},
    "max_tokens": 9,
    "stream": False,
}
"""Something for each protocol."""


def chat_requests(active: str) -> Iterator[Asked]:
    for codec, prefix in itertools.product(codecs(), PREFIXES):
        group = prefix.removesuffix("/compat").removeprefix("/")
        for route in codec.routes:
            # Only where no prefix says the group, the model can.
            models = MODELS if group in ("", "switch") else ("anything", "other")
            for model in models if route.method == "POST" or "{" in route.path else ("anything",):
                path = prefix + re.sub(r"\{[a-z]+(:path)?\}", model, route.path)
                named = active if group == "switch" else group
                match route.operation:
                    case "info":  # the hub's version, whatever the group is
                        named = "" if group == "switch" else group
                    case "models" | "model":
                        pass
                    case _ if model in GROUPS:
                        named = named or model
                yield Asked(
                    route.method, path, named, {**BODY, "model": model} if route.method == "POST" else None
                )


def expected(kind: str, group: str) -> int:
    """0 stands for an answer that is no refusal of the hub's."""
    if kind in REFUSED:
        return 401
    groups = KINDS[kind].get("groups")
    return 403 if groups is not None and group and group not in groups else 0


@pytest.mark.parametrize(("source", "active"), [("settings", "own"), ("stored", "other")])
async def test_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Source, active: str) -> None:
    requests = list(dict.fromkeys(chat_requests(active)))
    assert len({asked.path for asked in requests}) > 200
    async with house(tmp_path, source, monkeypatch) as here:
        switched = await here.ask("POST", "/hub/v1/switch", "unlimited", {"group": active})
        assert switched.status_code == 200
        wrong: dict[tuple[str, str, str], int] = {}
        for kind in ALL:
            before = here.heard("other"), here.heard("own")
            for asked in requests:
                answer = await here.ask(asked.method, asked.path, kind, asked.body)
                told = answer.status_code if answer.status_code in (401, 403) else 0
                if told != expected(kind, asked.named):
                    wrong[kind, f"{asked.method} {asked.path}", str(asked.body and asked.body["model"])] = (
                        told
                    )
                limited = KINDS.get(kind, {}).get("groups") is not None
                if limited and "other" not in asked.path + str(asked.body):
                    assert not re.search(r"\bother\b", answer.text), (kind, asked)
                if told:
                    assert_shape(answer)
                    assert "x-hub-target" not in answer.headers
            heard = here.heard("other") - before[0], here.heard("own") - before[1]
            groups = KINDS.get(kind, {}).get("groups", GROUPS)
            assert (heard[0] > 0, heard[1] > 0) == (
                kind not in REFUSED and "other" in groups,
                kind not in REFUSED and "own" in groups,
            ), kind
        assert wrong == {}


async def test_where_the_settings_pass_a_request_on_is_not_the_keys_affair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, "settings", monkeypatch) as here:
        path = tmp_path / "hub.yaml"
        settings = json.loads(path.read_text())
        settings["groups"]["own"] |= {"rules": [{"when": {"model": "far-*"}, "use": "other"}]}
        path.write_text(json.dumps(settings))
        assert (await here.hub.live.reload()).kind != "refused", here.hub.live.status.last_problems
        for model, group in (("far-away", "other"), ("near", "own")):
            before = here.heard(group)
            answer = await here.ask("POST", "/own/v1/chat/completions", "group", {**BODY, "model": model})
            assert (answer.status_code, here.heard(group)) == (400, before + 1), answer.text
        answer = await here.ask("POST", "/v1/chat/completions", "group", {**BODY, "model": "other"})
        assert answer.status_code == 403


def assert_shape(answer: httpx.Response) -> None:
    error = answer.json()["error"]
    message = error if isinstance(error, str) else error["message"]
    assert "key" in message
    assert "hub_" not in answer.text


# ---------------------------------------------------------------- the hub itself

OWN_PATHS = ("/hub/v1/status", "/hub/v1/switch", "/hub/v1/nothing", "/hub", "/hub/", "/metrics", "/metrics/")
SIDE_PATHS = ("/hub/../own/v1/models", "//hub/v1/status", "/%68ub/v1/status", "/hub%2fv1/status")
FREE = ("unlimited", "lasting")


async def test_the_hub_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path, "settings", monkeypatch) as here:
        for kind, path, method in itertools.product(ALL, OWN_PATHS, ("GET", "POST", "HEAD", "PUT", "DELETE")):
            answer = await here.ask(method, path, kind, {"group": "own"} if method == "POST" else None)
            told = answer.status_code if answer.status_code in (401, 403) else 0
            assert told == (401 if kind in REFUSED else 0 if kind in FREE else 403), (kind, method, path)
        for kind, path in itertools.product(ALL, SIDE_PATHS):
            answer = await here.ask("GET", path, kind)
            assert answer.status_code != 200 or kind in FREE or "pid" not in answer.text, (kind, path)
        for kind in ALL:
            assert (await here.ask("GET", "/healthz", kind)).status_code == 200
            assert (await here.ask("GET", "/readyz", kind)).status_code == (401 if kind in REFUSED else 200)


# ---------------------------------------------------------------- tools

ERAS = ("legacy", "modern")
ENDPOINTS = ("", *PROFILES, *SERVERS)
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Speaker:
    """A client of one era at one endpoint with one key."""

    here: House
    era: str
    endpoint: str
    kind: str
    session: str = ""
    instructions: str = ""

    async def begin(self) -> int:
        """The status of the first request."""
        method = "initialize" if self.era == "legacy" else "server/discover"
        answer = await self.post(method, HELLO if self.era == "legacy" else {})
        self.session = answer.headers.get("mcp-session-id", "")
        if answer.status_code == 200:
            self.instructions = message_of(answer)["result"].get("instructions", "")
        return answer.status_code

    async def post(self, method: str, params: dict[str, Any]) -> httpx.Response:
        headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        if self.era == "modern":
            headers |= {"mcp-protocol-version": "2026-07-28", "mcp-method": method}
            headers |= {"mcp-name": str(params["name"])} if "name" in params else {}
            headers |= {"mcp-name": str(params["uri"])} if "uri" in params else {}
            params = {**params, "_meta": MODERN_META}
        elif self.session:
            headers |= {"mcp-session-id": self.session, "mcp-protocol-version": "2025-11-25"}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        path = f"/mcp/{self.endpoint}".rstrip("/")
        return await self.here.ask("POST", path, self.kind, body, **headers)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        return message_of(await self.post(method, params))

    async def tools(self) -> set[str]:
        return {tool["name"] for tool in (await self.call("tools/list"))["result"]["tools"]}


def message_of(answer: httpx.Response) -> dict[str, Any]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    message: dict[str, Any] = json.loads(lines[-1] if lines else answer.text)
    return message


def endpoint_status(kind: str, endpoint: str) -> int:
    if kind in REFUSED:
        return 401
    limits = KINDS[kind]
    if "profiles" in limits:
        return 200 if endpoint in limits["profiles"] else 403
    if "servers" in limits and endpoint in SERVERS:
        return 200 if endpoint in limits["servers"] else 403
    return 200


def servers_of(kind: str) -> set[str]:
    """The servers of which a key may see something."""
    return {"git"} if {"servers", "tools"} & KINDS[kind].keys() else set(SERVERS)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("source", ["settings", "stored"])
async def test_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Source, era: str) -> None:
    async with house(tmp_path, source, monkeypatch) as here:
        free = Speaker(here, era, "", "unlimited")
        assert await free.begin() == 200
        everything = await free.tools()
        assert {"git_echo", "files_echo"} <= everything
        resources = (await free.call("resources/list"))["result"]["resources"]
        assert any("files" in resource["uri"] for resource in resources)
        for kind, endpoint in itertools.product(ALL, ENDPOINTS):
            speaker = Speaker(here, era, endpoint, kind)
            assert await speaker.begin() == endpoint_status(kind, endpoint), (kind, endpoint)
            if endpoint_status(kind, endpoint) != 200:
                continue
            where = (kind, endpoint)
            prefix = "" if endpoint in SERVERS else "git_"
            seen = await speaker.tools()
            own = servers_of(kind)
            if endpoint in SERVERS:
                assert ("echo" in seen) == (endpoint in own), where
            else:
                assert {name for name in SERVERS if f"{name}_echo" in seen} == own, where
            # Calling and reading know no more than the lists do.
            if endpoint != "files":
                said = await speaker.call("tools/call", name=f"{prefix}echo", arguments={"text": "hi"})
                assert said["result"]["content"][0]["text"] == "hi", where
            if "files" in own:
                continue
            hidden = "echo" if endpoint == "files" else "files_echo"
            if endpoint != "git":
                said = await speaker.call("tools/call", name=hidden, arguments={"text": "hi"})
                assert said["error"]["message"] == f"Unknown tool: {hidden}", where
                for resource in resources:
                    if "files" in resource["uri"]:
                        assert "error" in await speaker.call("resources/read", uri=resource["uri"]), where
            for kind_of_list in ("prompts", "resources"):
                listed = (await speaker.call(f"{kind_of_list}/list"))["result"][kind_of_list]
                assert listed if endpoint != "files" else not listed, where
                assert "files" not in json.dumps(listed), where
            assert "# files" not in speaker.instructions, where


@pytest.mark.parametrize(
    "path", ["/mcp//files", "/mcp/files/", "/mcp/files/x", "//mcp/files", "/mcp/%66iles"]
)
@pytest.mark.parametrize("kind", ["server", "profile"])
async def test_no_other_spelling_leads_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    async with house(tmp_path, "settings", monkeypatch) as here:
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
        headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        answer = await here.ask("POST", path, kind, body, **headers)
        assert answer.status_code in (403, 404), answer.text


async def test_a_session_is_its_beginners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path, "settings", monkeypatch) as here:
        free = Speaker(here, "legacy", "", "unlimited")
        await free.begin()
        thief = Speaker(here, "legacy", "", "tools", session=free.session)
        answer = await thief.post("tools/list", {})
        assert answer.status_code == 404
        assert "git_echo" in await free.tools()


async def test_models_as_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub offers its groups as tools: those of a key's own groups, and never the switch for everybody."""
    async with house(tmp_path, "settings", monkeypatch) as here:
        for kind in ("group", "group and profile"):
            speaker = Speaker(here, "legacy", "mine", kind)
            await speaker.begin()
            seen = await speaker.tools()
            assert "ask_own" in seen
            assert "ask_other" not in seen
            before = here.heard("other")
            for name, arguments in (
                ("ask_other", {"prompt": "hi"}),
                ("compare_models", {"prompt": "hi", "groups": ["other"]}),
                ("compare_models", {"prompt": "hi"}),
                ("switch_model", {"group": "other"}),
                ("switch_model", {"group": "own"}),
            ):
                said = await speaker.call("tools/call", name=name, arguments=arguments)
                if (name, "groups" in arguments) != ("compare_models", False):
                    assert "error" in said or said["result"].get("isError"), (kind, name, said)
            assert here.heard("other") == before
        status = await here.ask("GET", "/hub/v1/status", "unlimited")
        assert status.json()["active_group"] == "other"
