"""What models behind Anthropic's API take, beyond the traits that all protocols ask for.

Names that are no Claude's (other vendors offer this API too) get what every such server takes.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs,
…/mid-conversation-system-messages, …/api/errors#prefill-not-supported
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from adapters.models import base_name

_BEFORE_4_5 = (
    "claude-2*",
    "claude-instant*",
    "claude-*-3*",
    "claude-opus-4",
    "claude-sonnet-4",
    "claude-opus-4-[01]*",
    "claude-sonnet-4-0*",
    "claude-opus-4-2*",
    "claude-sonnet-4-2*",
    "claude-opus-4@*",
    "claude-sonnet-4@*",
)
_BEFORE_4_6 = (*_BEFORE_4_5, "claude-*-4-5*")
_BEFORE_OPUS_4_8 = (
    *_BEFORE_4_5,
    "claude-sonnet-4*",
    "claude-haiku-4*",
    "claude-opus-4-[567]*",
    "claude-sonnet-5*",
)


@lru_cache(maxsize=512)
def takes_output_format(model: str) -> bool:
    """`output_config.format` and `strict` tools: Claude 4.5 and later."""
    return _claude_but(model, _BEFORE_4_5)


@lru_cache(maxsize=512)
def takes_system_turns(model: str) -> bool:
    """Messages of role `system` after a user's turn: Claude Opus 4.8 and later."""
    return _claude_but(model, _BEFORE_OPUS_4_8)


@lru_cache(maxsize=512)
def takes_prefill(model: str) -> bool:
    """Whether the conversation may end with words of the assistant: not since Claude 4.6."""
    return not _claude_but(model, _BEFORE_4_6)


def _claude_but(model: str, older: tuple[str, ...]) -> bool:
    name = base_name(model)
    return name.startswith("claude-") and not any(fnmatchcase(name, pattern) for pattern in older)
