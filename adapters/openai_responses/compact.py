"""`POST /responses/compact` for targets that cannot compact: the model writes a summary.

The API answers with one `compaction` item that only it can read. Here the item holds the summary, marked
as this hub's own, and is read back as a message of the user in the next turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.canonical import ChatRequest, ChatResponse, Message, Opaque, Signature, Text, Thinking, Usage
from adapters.codec import Reply
from adapters.losses import Losses
from adapters.openai_responses import notes
from adapters.openai_responses.items_decode import COMPACTION_ORIGIN
from adapters.openai_responses.items_encode import encode_items
from adapters.openai_responses.usage import encode_usage
from adapters.signatures import for_client

ACTION = "compact"
PATH = "/responses/compact"
OBJECT = "response.compaction"

_PROMPT = (
    "Write a summary of this conversation that will replace it: whoever goes on with the work sees only "
    "the summary. Keep the user's wishes and decisions, what was done and found out (names of files, "
    "commands, results), and what remains to be done. Answer with the summary alone."
)
SUMMARY_HEAD = "Summary of the conversation so far:\n\n"

BODY = frozenset(
    {
        "model",
        "input",
        "instructions",
        "previous_response_id",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "service_tier",
        "image",
    }
)
"""What the API takes there."""


def as_chat(request: ChatRequest) -> ChatRequest:
    """The conversation with a wish for its summary at the end; no tool may be called."""
    wish = Message("user", (Text(_PROMPT),), extensions=notes.extensions({"_:compact": True}))
    bag = {**notes.own(request.extensions), "_:compact": True}
    return replace(
        request,
        messages=(*request.messages, wish),
        tools=(),
        tool_choice=None,
        stream=False,
        extensions=notes.extensions(bag),
    )


def is_compact(request: ChatRequest) -> bool:
    return bool(notes.own(request.extensions).get("_:compact"))


def without_wish(request: ChatRequest) -> ChatRequest:
    """For an upstream that compacts itself."""
    kept = tuple(
        message for message in request.messages if not notes.own(message.extensions).get("_:compact")
    )
    return replace(request, messages=kept)


def encode(response: ChatResponse, reply: Reply, losses: Losses) -> dict[str, Any]:
    """The API's shape: the user's messages, then one compaction item. Thoughts about it are not told."""
    parts = response.choices[0].parts if response.choices else ()
    if any(isinstance(part, Thinking) and part.text for part in parts):
        losses.add("thinking", "output", "a compaction has none")
    own = [dict(part.value) for part in parts if isinstance(part, Opaque) and part.protocol == notes.PROTOCOL]
    summary = SUMMARY_HEAD + "".join(part.text for part in parts if isinstance(part, Text))
    return {
        "id": f"resp_{reply.id}",
        "object": OBJECT,
        "created_at": response.created or reply.created,
        "output": own or [*_user_messages(reply.request), _item(summary, reply.id)],
        "usage": encode_usage(response.usage or Usage()),
    }


def _item(summary: str, stem: str) -> dict[str, Any]:
    encrypted = for_client(Signature(summary, COMPACTION_ORIGIN), notes.PROTOCOL)
    return {"id": f"cmp_{stem}", "type": "compaction", "encrypted_content": encrypted}


def _user_messages(request: ChatRequest) -> list[dict[str, Any]]:
    kept = [message for message in without_wish(request).messages if message.role == "user" and message.parts]
    items = encode_items(kept, Losses())
    return [_complete(item, at) for at, item in enumerate(items) if item.get("role") == "user"]


def _complete(item: Mapping[str, Any], at: int) -> dict[str, Any]:
    content = item["content"]
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    return {"id": f"msg_hub{at:06d}", "status": "completed", **item, "type": "message", "content": content}
