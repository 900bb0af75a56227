"""`hub chat`: one question to a group, as any OpenAI client would ask it."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

import httpx
from cyclopts import Parameter

from hub.cli.client import HubClient, error_message, find
from hub.cli.errors import CommandError, UsageError, did_you_mean
from hub.cli.options import Json, Reach, Text, refuse_option
from hub.cli.output import clean, on_terminal, print_json

_TIMEOUT = httpx.Timeout(None, connect=5)


@dataclass(slots=True)
class Answer:
    """What has arrived of a streamed answer."""

    model: str | None = None
    text: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Any = None


def chat(
    group: str,
    prompt: Annotated[str | None, Text] = None,
    /,
    *,
    system: Annotated[str | None, Parameter(help="A system message before the prompt.")] = None,
    max_tokens: Annotated[int | None, Parameter(help="The longest answer, in tokens.")] = None,
    reach: Reach = Reach(),  # noqa: B008 - frozen
    json: Json = False,
) -> int:
    """Ask a group of the running hub, and print its answer as it arrives.

    Parameters
    ----------
    group
        The group that answers; `hub groups` lists them.
    prompt
        The question; `-`, or nothing in a pipe, reads it from standard input.
    """
    messages = [{"role": "user", "content": _prompt(prompt)}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    body: dict[str, Any] = {"model": group, "messages": messages, "stream": True}
    body["stream_options"] = {"include_usage": True}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    answer = Answer()
    with HubClient(find(reach)) as hub:
        _check_group(group, hub.status())
        for text in _stream(hub, group, body, answer):
            if not json:
                sys.stdout.write(clean(text) if on_terminal() else text)
                sys.stdout.flush()
    if json:
        print_json(
            {
                "group": group,
                "model": answer.model,
                "text": "".join(answer.text),
                "finish_reason": answer.finish_reason,
                "usage": answer.usage,
            }
        )
    elif not answer.text or not answer.text[-1].endswith("\n"):
        print()
    return 0


def _prompt(prompt: str | None) -> str:
    if prompt is None and sys.stdin.isatty():
        raise UsageError('chat: the prompt is missing: hub chat GROUP "your question", or pipe it in')
    if prompt is None or prompt == "-":
        text = sys.stdin.read()
    else:
        refuse_option(prompt)
        text = prompt
    if not text.strip():
        raise UsageError("chat: the prompt is empty")
    return text


def _check_group(group: str, status: dict[str, Any]) -> None:
    names = [known["name"] for known in status["groups"]]
    if group not in names:
        hint = did_you_mean(group, names) or "; hub groups lists them"
        raise CommandError(f'unknown group "{group}"{hint}')


def _stream(hub: HubClient, group: str, body: dict[str, Any], answer: Answer) -> Iterator[str]:
    """The pieces of text of an OpenAI Chat Completions stream; the rest goes to `answer`."""
    path = f"/{quote(group, safe='')}/v1/chat/completions"
    try:
        with hub.http.stream("POST", path, json=body, timeout=_TIMEOUT) as response:
            if response.status_code != 200:
                response.read()
                raise CommandError(error_message(response))
            for line in response.iter_lines():
                data = line.removeprefix("data:").strip()
                if line.startswith("data:") and data != "[DONE]":
                    yield from _take(json_module.loads(data), answer)
    except httpx.HTTPError as error:
        raise CommandError(f"the answer broke off: {error or type(error).__name__}") from error
    if answer.finish_reason is None:
        raise CommandError("the answer broke off before its end")


def _take(chunk: dict[str, Any], answer: Answer) -> Iterator[str]:
    if chunk.get("error"):
        error = chunk["error"]
        message = error.get("message") if isinstance(error, dict) else error
        raise CommandError(f"the answer broke off: {message}")
    answer.model = chunk.get("model") or answer.model
    answer.usage = chunk.get("usage") or answer.usage
    for choice in chunk.get("choices") or ():
        answer.finish_reason = choice.get("finish_reason") or answer.finish_reason
        text = (choice.get("delta") or {}).get("content")
        if text:
            answer.text.append(text)
            yield text
