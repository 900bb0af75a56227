"""Golden files: one for each pair, in a form that a person can read and compare.

JSON is written on one line as long as it fits, else member by member. What every chunk of a stream
repeats is shown in the first only, and of the envelope of a Responses answer what is not as ever.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adapters.framing import SseDecoder
from adapters.losses import Loss
from tests.adapters.matrix.cases import case, features
from tests.adapters.matrix.convert import Outcome, outcome

FOLDER = Path(__file__).parent / "golden"
_WIDTH = 118

_REPEATED = (
    "id",
    "object",
    "created",
    "model",
    "system_fingerprint",
    "modelVersion",
    "responseId",
    "created_at",
)

_ENVELOPE: dict[str, Any] = {
    "object": "response",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
    "service_tier": "default",
}
"""The envelope where the request said nothing of it."""


def path(client: str, target: str) -> Path:
    return FOLDER / f"{client}--{target}.txt"


def golden(client: str, target: str) -> str:
    """All features of the pair as text."""
    sections = [f"A client of {client}, a target of {target}.\n"]
    sections += [text for name in features() if (text := _feature(outcome(client, target, name)))]
    return "\n".join(sections)


def _feature(found: Outcome) -> str:
    lines: list[str] = []
    if found.sent is not None:
        lines += [f"request  POST {found.sent.path}", *_headers(found), *_json(found.sent.body)]
        lines += _losses("request", found.sent.losses)
    if found.refused is not None:
        lines += ["request  refused", f"  {found.refused}"]
    if found.answer is not None:
        lines += ["answer", *_json(_short(found.answer)), *_losses("answer", found.answer_losses)]
    if found.stream:
        lines += ["stream", *_stream(found)]
    if found.error_answer is not None:
        status, body = found.error_answer
        retry = found.error.retry_after if found.error else None
        lines += [f"error  {status}" + (f", retry after {retry:g} s" if retry else ""), *_json(body)]
    if not lines:
        return ""
    title = case(found.client, found.feature).title or case(found.target, found.feature).title
    return "\n".join([f"==== {found.feature}: {title}", *lines, ""])


def _headers(found: Outcome) -> list[str]:
    return [f"  {name}: {value}" for name, value in found.sent.headers.items()] if found.sent else []


def _losses(what: str, losses: Any) -> list[str]:
    told: list[Loss] = list(losses)
    if not told:
        return []
    return [f"losses of the {what}", *(f"  {loss.code}  {loss.where}  {loss.detail}" for loss in told)]


def _json(value: Any) -> list[str]:
    return pretty(value, "  ").splitlines()


def pretty(value: Any, indent: str = "") -> str:
    short = indent + json.dumps(value, ensure_ascii=False)
    if len(short) <= _WIDTH or not isinstance(value, dict | list) or not value:
        return _visible(short)
    inner = indent + "  "
    if isinstance(value, list):
        return "\n".join([f"{indent}[", ",\n".join(pretty(one, inner) for one in value), f"{indent}]"])
    members = []
    for key, one in value.items():
        text = pretty(one, inner).lstrip()
        members.append(f"{inner}{json.dumps(key, ensure_ascii=False)}: {text}")
    return "\n".join([indent + "{", ",\n".join(members), indent + "}"])


def _visible(text: str) -> str:
    """Line separators would make lines where there are none."""
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _short(response: dict[str, Any]) -> dict[str, Any]:
    """A Responses answer without what is in every one."""
    if response.get("object") != "response":
        return response
    return {key: value for key, value in response.items() if _ENVELOPE.get(key, _ENVELOPE) != value}


def _stream(found: Outcome) -> list[str]:
    if found.client == "ollama":
        frames = [(None, line) for line in found.stream.decode().split("\n") if line]
    else:
        decoder = SseDecoder()
        frames = [(event.event, event.data) for event in [*decoder.feed(found.stream), *decoder.close()]]
    first: dict[str, Any] = {}
    lines = []
    for name, data in frames:
        if data == "[DONE]":
            lines.append("  [DONE]")
            continue
        document = json.loads(data)
        shown = {k: v for k, v in document.items() if k not in _REPEATED or first.get(k, first) != v}
        if isinstance(response := document.get("response"), dict):
            shown["response"] = _short(response)
        first = first or document
        # an event's name is its type; where not, it is shown
        prefix = f"{name}  " if name and document.get("type") != name else ""
        lines.append("  " + prefix + _visible(json.dumps(shown, ensure_ascii=False)))
    return lines
