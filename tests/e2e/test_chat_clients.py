"""The official SDKs against the real program, whose upstream is the real embedded llama.cpp."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import anthropic
import google.genai
import ollama
import openai
import pytest
from google.genai import types

from tests.e2e.program import Program, program

pytestmark = pytest.mark.model

LLAMA = {"embedded": {"model": "smollm2", "context_size": 2048}}
PROMPT = "Say hello to Ann."


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One llama.cpp, which speaks three protocols, behind three groups."""
    folder = tmp_path_factory.mktemp("chat")
    settings = {"providers": {"llama": LLAMA}, "groups": {"chat": {"provider": "llama", "model": "smollm2"}}}
    with program(folder, settings) as running:
        url = running.status()["embedded"][0]["base_url"].removesuffix("/v1")
        running.save(
            {
                "providers": {
                    "llama": LLAMA,
                    "messages": {"protocol": "anthropic", "base_url": url},
                    "responses": {"protocol": "openai-responses", "base_url": f"{url}/v1"},
                },
                "groups": {
                    "chat": {"provider": "llama", "model": "smollm2", "temperature": 0, "seed": 1},
                    "messages": {"provider": "messages", "model": "smollm2"},
                    "responses": {"provider": "responses", "model": "smollm2"},
                    "plain": {"provider": "llama", "model": "smollm2"},
                },
                "default_group": "chat",
            }
        )
        deadline = time.monotonic() + 5
        while len(running.status()["groups"]) < 4:
            assert time.monotonic() < deadline, running.log
        yield running


@pytest.fixture(params=["chat", "messages", "responses", "plain"])
def base(hub: Program, request: pytest.FixtureRequest) -> str:
    """The base URL of a group: converted to Chat Completions, Messages, Responses; or passed through."""
    return f"{hub.url}/{request.param}"


def test_openai_chat(base: str) -> None:
    client = openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=3)
    messages = [{"role": "user", "content": PROMPT}]
    whole = client.chat.completions.create(model="any", messages=messages, max_tokens=12)
    assert whole.choices[0].message.content
    assert whole.choices[0].finish_reason in ("stop", "length")
    assert whole.usage.completion_tokens > 0
    text, usage, finish = "", None, None
    for chunk in client.chat.completions.create(
        model="any", messages=messages, max_tokens=12, stream=True, stream_options={"include_usage": True}
    ):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        usage = chunk.usage or usage
    assert text
    assert finish in ("stop", "length")
    assert usage.prompt_tokens > 0


def test_openai_responses(base: str) -> None:
    client = openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=3)
    whole = client.responses.create(model="any", input=PROMPT, max_output_tokens=16)
    assert whole.output_text
    options = {"model": "any", "input": PROMPT, "max_output_tokens": 16}
    if base.endswith(
        "/responses"
    ):  # passed through: llama.cpp leaves out indexes that the SDK's accumulator needs
        events = list(client.responses.create(**options, stream=True))
    else:
        with client.responses.stream(**options) as stream:
            events = list(stream)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    # The SDK's own get_final_response knows answers that came to their end only.
    assert events[-1].type in ("response.completed", "response.incomplete")
    final = events[-1].response
    assert text == final.output[-1].content[0].text != ""
    assert final.usage.output_tokens > 0


def test_anthropic(base: str) -> None:
    client = anthropic.Anthropic(base_url=base, api_key="none", max_retries=3)
    messages = [{"role": "user", "content": PROMPT}]
    whole = client.messages.create(model="any", max_tokens=12, system="Be kind.", messages=messages)
    assert whole.content[0].text
    assert whole.stop_reason in ("end_turn", "max_tokens")
    assert whole.usage.output_tokens > 0
    with client.messages.stream(model="any", max_tokens=12, messages=messages) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text != ""
    assert final.usage.output_tokens > 0
    assert client.messages.count_tokens(model="any", messages=messages).input_tokens > 0


def test_gemini(base: str) -> None:
    options = types.HttpOptions(base_url=base)
    client = google.genai.Client(api_key="none", http_options=options)
    config = types.GenerateContentConfig(max_output_tokens=16)
    whole = client.models.generate_content(model="any", contents=PROMPT, config=config)
    assert whole.text
    assert whole.usage_metadata.candidates_token_count > 0
    pieces = list(client.models.generate_content_stream(model="any", contents=PROMPT, config=config))
    assert "".join(piece.text or "" for piece in pieces)
    assert pieces[-1].candidates[0].finish_reason in ("STOP", "MAX_TOKENS")
    client.close()


def test_ollama(base: str) -> None:
    client = ollama.Client(host=base)
    messages = [{"role": "user", "content": PROMPT}]
    whole = client.chat("any", messages, options={"num_predict": 12})
    assert whole.message.content
    assert whole.done_reason in ("stop", "length")
    pieces = list(client.chat("any", messages, options={"num_predict": 12}, stream=True))
    assert "".join(piece.message.content for piece in pieces)
    assert pieces[-1].done
    assert client.generate("any", PROMPT, options={"num_predict": 4}).response
    client._client.close()


def test_model_lists_in_each_sdks_shape(hub: Program) -> None:
    groups = {"chat", "messages", "responses", "plain"}
    openai_client = openai.OpenAI(base_url=f"{hub.url}/v1", api_key="none")
    assert {model.id for model in openai_client.models.list()} == groups
    anthropic_client = anthropic.Anthropic(base_url=hub.url, api_key="none")
    assert {model.id for model in anthropic_client.models.list()} == groups
    genai = google.genai.Client(api_key="none", http_options=types.HttpOptions(base_url=hub.url))
    assert {model.name.removeprefix("models/") for model in genai.models.list()} == groups
    genai.close()
    ollama_client = ollama.Client(host=hub.url)
    assert {model.model for model in ollama_client.list().models} == groups
    ollama_client._client.close()


def test_the_model_of_the_body_names_a_group(hub: Program) -> None:
    client = openai.OpenAI(base_url=f"{hub.url}/v1", api_key="none")
    for model, group in (("messages", "messages"), ("gpt-of-someone", "chat")):
        raw = client.chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": PROMPT}], max_tokens=4
        )
        assert raw.headers["x-hub-group"] == group
        assert raw.headers["x-hub-target"].endswith("/smollm2")


def test_files_beside_the_program_are_left_alone(hub: Program) -> None:
    assert {path.name for path in Path(hub.folder).iterdir() if not path.name.startswith(".")} <= {
        "hub.yaml",
        "log",
    }
