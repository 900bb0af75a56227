"""What OpenAI-compatible providers take beyond, or instead of, OpenAI's own words.

A dialect is found by the provider's name, else by the host of its base URL, else by the model's
name. A server that none of these tells is asked in the plainest way that all understand.

Sources: https://openrouter.ai/docs/api-reference/overview, https://api-docs.deepseek.com/guides/thinking_mode,
https://platform.moonshot.ai/docs, https://docs.mistral.ai/api, https://docs.z.ai/api-reference,
https://www.alibabacloud.com/help/en/model-studio/deep-thinking, https://console.groq.com/docs/reasoning,
https://ai.google.dev/gemini-api/docs/openai, https://docs.vllm.ai/en/latest/serving/openai_compatible_server
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from adapters.codec import TargetModel
from adapters.models import base_name


@dataclass(frozen=True, slots=True)
class Dialect:
    history: Literal["none", "reasoning_content", "reasoning", "details", "chunks"] = "none"
    """The slot for thinking of earlier turns; `none`: the provider does not take it back."""
    needs_thinking: bool = False
    """While it thinks, every earlier turn with tool calls needs `reasoning_content`."""
    reasoning: Literal["effort", "openrouter", "thinking", "enable_thinking", "template", "none"] = "effort"
    """How reasoning is asked for."""
    limit: Literal["max_tokens", "max_completion_tokens", "model"] = "model"
    """`model`: by the model's traits, else as the client spelled it."""
    developer: bool = False
    """Knows the role `developer`."""
    custom_tools: bool = False
    top_k: bool = False
    cache_control: bool = False
    call_signatures: bool = False
    """Takes Google's `extra_content` on tool calls back."""
    stream_options: bool = True
    official: bool = False
    """OpenAI itself: unknown keys are errors, at most four stop sequences."""
    refuses: frozenset[str] = frozenset()
    """Parameters of OpenAI's that are an error here."""
    seed: str = "seed"
    known: bool = True


OPENAI = Dialect(developer=True, custom_tools=True, official=True, limit="max_completion_tokens")
OPENAI_ELSEWHERE = Dialect(developer=True, custom_tools=True, official=True)
"""OpenAI's models behind another address (Azure, a gateway)."""
UNKNOWN = Dialect(known=False)
_REPLAYS = Dialect(history="reasoning_content", known=False)

PROVIDERS: dict[str, Dialect] = {
    "openai": OPENAI,
    "azure": OPENAI_ELSEWHERE,
    "openrouter": Dialect(
        history="details",
        reasoning="openrouter",
        developer=True,
        top_k=True,
        cache_control=True,
        limit="max_tokens",
    ),
    "deepseek": Dialect(
        history="reasoning_content", needs_thinking=True, reasoning="thinking", limit="max_tokens"
    ),
    "moonshot": Dialect(
        history="reasoning_content", needs_thinking=True, reasoning="thinking", limit="max_tokens"
    ),
    "dashscope": Dialect(
        history="reasoning_content", reasoning="enable_thinking", top_k=True, limit="max_tokens"
    ),
    "zai": Dialect(history="reasoning_content", reasoning="thinking", limit="max_tokens"),
    "mistral": Dialect(
        history="chunks",
        reasoning="none",
        limit="max_tokens",
        stream_options=False,
        refuses=frozenset({"user", "service_tier", "verbosity", "logprobs", "top_logprobs"}),
        seed="random_seed",
    ),
    "groq": Dialect(history="reasoning", limit="max_completion_tokens"),
    "xai": Dialect(history="reasoning_content", limit="max_completion_tokens"),
    "together": Dialect(history="reasoning", top_k=True, limit="max_tokens"),
    "fireworks": Dialect(history="reasoning_content", top_k=True, limit="max_tokens"),
    "gemini": Dialect(call_signatures=True, limit="max_completion_tokens"),
    "vllm": Dialect(history="reasoning_content", reasoning="template", top_k=True),
    "llamacpp": Dialect(history="reasoning_content", reasoning="template", top_k=True),
    "lmstudio": Dialect(history="reasoning_content", top_k=True, limit="max_tokens"),
    "ollama": Dialect(history="reasoning", limit="max_tokens"),
}

_ALIASES = {
    "qwen": "dashscope",
    "google": "gemini",
    "llama.cpp": "llamacpp",
    "kimi": "moonshot",
    "zhipu": "zai",
}

_HOSTS: tuple[tuple[str, str], ...] = (
    ("api.openai.com", "openai"),
    ("*.api.openai.com", "openai"),
    ("*.openai.azure.com", "azure"),
    ("*.services.ai.azure.com", "azure"),
    ("openrouter.ai", "openrouter"),
    ("api.deepseek.com", "deepseek"),
    ("api.moonshot.*", "moonshot"),
    ("api.kimi.com", "moonshot"),
    ("dashscope*.aliyuncs.com", "dashscope"),
    ("*.z.ai", "zai"),
    ("open.bigmodel.cn", "zai"),
    ("*.mistral.ai", "mistral"),
    ("api.groq.com", "groq"),
    ("*.x.ai", "xai"),
    ("api.together.*", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("*aiplatform.googleapis.com", "gemini"),
)

_MODELS: tuple[tuple[str, Dialect], ...] = (
    ("gpt-oss*", _REPLAYS),
    ("gpt-*", OPENAI_ELSEWHERE),
    ("chatgpt-*", OPENAI_ELSEWHERE),
    ("codex-*", OPENAI_ELSEWHERE),
    ("o[1-9]", OPENAI_ELSEWHERE),
    ("o[1-9]-*", OPENAI_ELSEWHERE),
    ("*deepseek*", _REPLAYS),
    ("*kimi*", _REPLAYS),
    ("*qwen*", _REPLAYS),
    ("*qwq*", _REPLAYS),
    ("*glm-*", _REPLAYS),
    ("*minimax*", _REPLAYS),
)


def dialect_of(target: TargetModel) -> Dialect:
    return _find(target.provider.lower(), target.base_url, target.model)


@lru_cache(maxsize=512)
def _find(provider: str, base_url: str, model: str) -> Dialect:
    host = (urlsplit(base_url).hostname or "") if base_url else ""
    for pattern, name in _HOSTS:
        if fnmatchcase(host, pattern):
            return PROVIDERS[name]
    named = PROVIDERS.get(_ALIASES.get(provider, provider))
    if named is not None:
        return named
    name = base_name(model)
    return next((dialect for pattern, dialect in _MODELS if fnmatchcase(name, pattern)), UNKNOWN)
