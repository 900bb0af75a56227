"""What is found without a settings file: keys in the environment, and local servers that really answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from hub import SERVER_NAME
from hub.discovery import Discovered, discover
from hub.settings import load_settings
from hub.settings.known_providers import KNOWN_PROVIDERS, KnownProvider
from hub.snapshot import build_snapshot

REMOTE = {name: known for name, known in KNOWN_PROVIDERS.items() if not known.local}
OLLAMA_MODELS = {"models": [{"name": "qwen3:8b", "model": "qwen3:8b"}, {"name": "llama3:8b"}]}
OPENAI_MODELS = {"object": "list", "data": [{"id": "small", "object": "model"}]}


async def found(
    environ: Mapping[str, str], known: Mapping[str, KnownProvider] = REMOTE, **arguments: Any
) -> Discovered:
    return await discover(load_settings(None, environ=environ), known=known, **arguments)


@asynccontextmanager
async def listening(path: str, answer: Callable[[Request], Response]) -> AsyncIterator[str]:
    """A server that answers at `path`; its address."""

    async def endpoint(request: Request) -> Response:
        return answer(request)

    app = Starlette(routes=[Route(path, endpoint)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none", lifespan="off"))
    started = asyncio.Event()
    startup = server.startup

    async def tell(**arguments: Any) -> None:
        await startup(**arguments)
        started.set()

    server.startup = tell  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve())
    await asyncio.wait_for(started.wait(), 10)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def at(name: str, address: str) -> dict[str, KnownProvider]:
    suffix = "" if KNOWN_PROVIDERS[name].protocol == "ollama" else "/v1"
    return {name: replace(KNOWN_PROVIDERS[name], base_url=address + suffix)}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- keys


@pytest.mark.parametrize(
    ("variable", "group", "provider"),
    [
        ("ANTHROPIC_API_KEY", "claude", "anthropic"),
        ("OPENAI_API_KEY", "gpt", "openai"),
        ("GEMINI_API_KEY", "gemini", "gemini"),
        ("GOOGLE_API_KEY", "gemini", "gemini"),
        ("OPENROUTER_API_KEY", "openrouter", "openrouter"),
        ("DEEPSEEK_API_KEY", "deepseek", "deepseek"),
        ("MOONSHOT_API_KEY", "kimi", "moonshot"),
        ("DASHSCOPE_API_KEY", "qwen", "qwen"),
        ("ZAI_API_KEY", "glm", "zai"),
        ("MISTRAL_API_KEY", "mistral", "mistral"),
        ("GROQ_API_KEY", "groq", "groq"),
        ("XAI_API_KEY", "grok", "xai"),
        ("TOGETHER_API_KEY", "together", "together"),
        ("FIREWORKS_API_KEY", "fireworks", "fireworks"),
    ],
)
async def test_a_key_becomes_a_group(variable: str, group: str, provider: str) -> None:
    discovered = await found({variable: "the-key"})
    settings = discovered.loaded.settings
    assert list(settings.groups) == [group]
    assert settings.default_group == group
    assert settings.groups[group].provider == provider
    target = build_snapshot(discovered.loaded).table.groups[group].targets[0]
    assert target.provider.api_keys == ("the-key",)
    assert target.model == KNOWN_PROVIDERS[provider].model
    assert (
        f"found {variable} in the environment: group `{group}` answers with {target.model}" in discovered.text
    )
    assert f"hub chat {group}" in discovered.text
    assert "the-key" not in discovered.text


def test_every_variable_of_the_table_has_its_row_above() -> None:
    rows = test_a_key_becomes_a_group.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {row[0] for row in rows} == {name for known in REMOTE.values() for name in known.key_variables}


async def test_many_keys_come_in_the_order_of_the_table() -> None:
    environ = {name: "k" for known in REMOTE.values() for name in known.key_variables}
    discovered = await found(environ)
    groups = [*("claude", "gpt", "gemini", "openrouter", "deepseek", "kimi", "qwen"), "glm", "mistral"]
    assert list(discovered.loaded.settings.groups) == [*groups, "groq", "grok", "together", "fireworks"]
    assert discovered.loaded.settings.default_group == "claude"


async def test_empty_keys_are_none() -> None:
    assert (await found({"OPENAI_API_KEY": " "})).findings == ()


async def test_what_the_environment_says_stays() -> None:
    environ = {
        "OPENAI_API_KEY": "k",
        "ANTHROPIC_API_KEY": "k",
        "HUB_GROUPS__GPT__MODEL": "mine",
        "HUB_GROUPS__GPT__PROVIDER": "openai",
        "HUB_SERVER__PORT": "7",
    }
    settings = (await found(environ)).loaded.settings
    assert settings.groups["gpt"].model == "mine"
    assert set(settings.groups) == {"gpt", "claude"}
    assert settings.default_group == "gpt"
    assert settings.server.port == 7


async def test_nothing_found_still_serves_and_says_what_to_do() -> None:
    discovered = await found({})
    assert discovered.findings == ()
    assert build_snapshot(discovered.loaded).table.groups == {}
    assert "no provider key" in discovered.text
    assert "hub serve --config configs/quickstart.yaml" in discovered.text


# --- local servers


@pytest.mark.parametrize(
    ("name", "path", "body", "models"),
    [
        ("ollama", "/api/tags", OLLAMA_MODELS, ("qwen3:8b", "llama3:8b")),
        ("lmstudio", "/v1/models", OPENAI_MODELS, ("small",)),
        ("llamacpp", "/v1/models", {"models": [{"name": "x"}], **OPENAI_MODELS}, ("small",)),
        ("vllm", "/v1/models", OPENAI_MODELS, ("small",)),
    ],
)
async def test_a_local_server_becomes_a_group(
    name: str, path: str, body: dict[str, Any], models: tuple[str, ...]
) -> None:
    async with listening(path, lambda request: JSONResponse(body)) as address:
        discovered = await found({}, at(name, address))
    (finding,) = discovered.findings
    assert finding.models == models
    assert discovered.loaded.settings.groups[name].model == models[0]
    assert discovered.loaded.settings.default_group == name
    assert f"{KNOWN_PROVIDERS[name].title} at {address}" in discovered.text


async def test_ollama_is_found_where_its_own_variable_says() -> None:
    async with listening("/api/tags", lambda request: JSONResponse(OLLAMA_MODELS)) as address:
        environ = {"OLLAMA_HOST": address.replace("http://127.0.0.1", "0.0.0.0")}
        discovered = await found(environ, {"ollama": KNOWN_PROVIDERS["ollama"]})
        provider = build_snapshot(discovered.loaded).table.groups["ollama"].targets[0].provider
    assert provider.base_url == address


async def test_a_local_server_gets_its_own_key_only() -> None:
    seen: list[str | None] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("authorization"))
        return JSONResponse(OPENAI_MODELS)

    async with listening("/v1/models", answer) as address:
        await found({"VLLM_API_KEY": "local", "OPENAI_API_KEY": "remote"}, at("vllm", address))
        await found({"OPENAI_API_KEY": "remote"}, at("vllm", address))
    assert seen == ["Bearer local", None]


@pytest.mark.parametrize("own_host", ["127.0.0.1", "0.0.0.0"])
async def test_the_hub_does_not_find_itself(own_host: str) -> None:
    async with listening("/api/tags", lambda request: JSONResponse(OLLAMA_MODELS)) as address:
        environ = {
            "HUB_SERVER__PORT": address.rpartition(":")[2],
            "HUB_SERVER__HOST": own_host,
            "HUB_SERVER__ALLOW_NO_KEYS": "true",
        }
        assert (await found(environ, at("ollama", address))).findings == ()


async def test_another_hub_is_not_taken_for_a_model_server() -> None:
    def answer(request: Request) -> Response:
        return JSONResponse(OLLAMA_MODELS, headers={"server": SERVER_NAME})

    async with listening("/api/tags", answer) as address:
        assert (await found({}, at("ollama", address))).findings == ()


async def test_a_server_without_models_is_named_and_makes_no_group() -> None:
    async with listening("/api/tags", lambda request: JSONResponse({"models": []})) as address:
        discovered = await found({}, at("ollama", address))
    assert discovered.loaded.settings.groups == {}
    assert "it has no model yet" in discovered.text
    assert "hub chat" not in discovered.text


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: PlainTextResponse("another program"),
        lambda request: JSONResponse(["not", "models"]),
        lambda request: JSONResponse({"status": "ok"}),
        lambda request: JSONResponse(OPENAI_MODELS, 401),
        lambda request: RedirectResponse("/login"),
        lambda request: Response(b"\xff\xfe", media_type="application/json"),
    ],
)
async def test_another_program_on_the_port_is_ignored(answer: Callable[[Request], Response]) -> None:
    async with listening("/v1/models", answer) as address:
        assert (await found({}, at("llamacpp", address))).findings == ()


async def test_a_server_that_hangs_delays_little() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started = time.perf_counter()
        discovered = await found({"OPENAI_API_KEY": "k"}, REMOTE | at("vllm", address), probe_seconds=0.1)
        assert time.perf_counter() - started < 2
    assert [finding.provider for finding in discovered.findings] == ["openai"]
