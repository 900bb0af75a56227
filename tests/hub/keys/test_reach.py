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


def assert_shape(answer: httpx.Response) -> None:
    error = answer.json()["error"]
    message = error if isinstance(error, str) else error["message"]
    assert "key" in message
    assert "hub_" not in answer.text
