"""The providers that need no settings: protocol, base URL and the variable that holds the key.

`base_url` is what the protocol's own SDK takes: with `/v1` for OpenAI-style ones, without for
Anthropic, Gemini and Ollama. Each row follows the provider's own page, read in November 2026. `model` is
what a group gets where nobody chose one; where a provider has an alias for its newest model, that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hub.settings.providers import ProtocolName


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """`key_variables` are tried in order. A `local` server is one on this machine, which needs no key."""

    title: str
    protocol: ProtocolName
    base_url: str
    key_variables: tuple[str, ...] = ()
    model: str | None = None
    group: str | None = None
    """The name of the group that is made where the hub finds this provider by itself."""
    local: bool = False
    host_variable: str | None = None
    """The variable with which this server's own tools say where it listens."""

    def key(self, environ: Mapping[str, str]) -> str | None:
        """The first key that is set and not empty."""
        return next((value for name in self.key_variables if (value := environ.get(name, "").strip())), None)

    def url(self, environ: Mapping[str, str]) -> str:
        """The base URL, at the place that `host_variable` names where that is set."""
        written = environ.get(self.host_variable, "").strip() if self.host_variable else ""
        return _server_url(written, self.base_url) if written else self.base_url


def _server_url(written: str, default: str) -> str:
    """`OLLAMA_HOST` is `host`, `host:port` or a URL, and may be the address that the server binds to.

    https://docs.ollama.com/faq, "How do I configure Ollama server?"
    """
    scheme, separator, rest = written.partition("://")
    if not separator:
        scheme, rest = "http", written
    rest = rest.rstrip("/")
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdigit():
        host, port = rest, "443" if separator and scheme == "https" else default.rpartition(":")[2]
    if host in ("0.0.0.0", "[::]", "::", ""):  # noqa: S104 - compared with, not bound to
        host = "127.0.0.1"
    return f"{scheme}://{host}:{port}"


_OPENAI = KnownProvider(
    title="OpenAI",
    protocol="openai",
    base_url="https://api.openai.com/v1",
    key_variables=("OPENAI_API_KEY",),
    model="gpt-6.1-terra",
    group="gpt",
)
_MOONSHOT = KnownProvider(
    title="Moonshot AI",
    protocol="openai",
    base_url="https://api.moonshot.ai/v1",
    key_variables=("MOONSHOT_API_KEY",),
    model="kimi-k3",
    group="kimi",
)
_QWEN = KnownProvider(
    title="Alibaba Model Studio",
    protocol="openai",
    # Singapore; keys of other regions need another base_url: alibabacloud.com/help/model-studio/base-url
    base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    key_variables=("DASHSCOPE_API_KEY",),
    model="qwen-plus",
    group="qwen",
)

KNOWN_PROVIDERS: Mapping[str, KnownProvider] = {
    "anthropic": KnownProvider(
        title="Anthropic",
        protocol="anthropic",
        base_url="https://api.anthropic.com",
        key_variables=("ANTHROPIC_API_KEY",),
        model="claude-sonnet-5-5",
        group="claude",
    ),
    "openai": _OPENAI,
    "openai-responses": replace(_OPENAI, title="OpenAI Responses", protocol="openai-responses"),
    "gemini": KnownProvider(
        title="Google Gemini",
        protocol="gemini",
        base_url="https://generativelanguage.googleapis.com",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        model="gemini-flash-latest",
    ),
    "openrouter": KnownProvider(
        title="OpenRouter",
        protocol="openai",
        base_url="https://openrouter.ai/api/v1",
        key_variables=("OPENROUTER_API_KEY",),
        model="openrouter/auto",
    ),
    "deepseek": KnownProvider(
        title="DeepSeek",
        protocol="openai",
        base_url="https://api.deepseek.com",
        key_variables=("DEEPSEEK_API_KEY",),
        model="deepseek-v4-flash",
    ),
    "moonshot": _MOONSHOT,
    "kimi": _MOONSHOT,
    "qwen": _QWEN,
    "dashscope": _QWEN,
    "zai": KnownProvider(
        title="Z.ai",
        protocol="openai",
        base_url="https://api.z.ai/api/paas/v4",
        key_variables=("ZAI_API_KEY",),
        model="glm-5",
        group="glm",
    ),
    "mistral": KnownProvider(
        title="Mistral AI",
        protocol="openai",
        base_url="https://api.mistral.ai/v1",
        key_variables=("MISTRAL_API_KEY",),
        model="mistral-large-latest",
    ),
    "groq": KnownProvider(
        title="Groq",
        protocol="openai",
        base_url="https://api.groq.com/openai/v1",
        key_variables=("GROQ_API_KEY",),
        model="openai/gpt-oss-120b",
    ),
    "xai": KnownProvider(
        title="xAI",
        protocol="openai",
        base_url="https://api.x.ai/v1",
        key_variables=("XAI_API_KEY",),
        model="grok-4.6",
        group="grok",
    ),
    "together": KnownProvider(
        title="Together AI",
        protocol="openai",
        base_url="https://api.together.ai/v1",
        key_variables=("TOGETHER_API_KEY",),
        model="openai/gpt-oss-20b",
    ),
    "fireworks": KnownProvider(
        title="Fireworks AI",
        protocol="openai",
        base_url="https://api.fireworks.ai/inference/v1",
        key_variables=("FIREWORKS_API_KEY",),
        model="accounts/fireworks/models/kimi-k3",
    ),
    "ollama": KnownProvider(
        # Its own protocol rather than its OpenAI layer: that one cannot set the context length,
        # and cuts prompts to a small one without saying so. docs.ollama.com/api/openai-compatibility
        title="Ollama",
        protocol="ollama",
        base_url="http://127.0.0.1:11434",
        local=True,
        host_variable="OLLAMA_HOST",
    ),
    "lmstudio": KnownProvider(
        title="LM Studio", protocol="openai", base_url="http://127.0.0.1:1234/v1", local=True
    ),
    "llamacpp": KnownProvider(
        title="llama.cpp",
        protocol="openai",
        base_url="http://127.0.0.1:8080/v1",
        key_variables=("LLAMA_API_KEY",),
        local=True,
    ),
    "vllm": KnownProvider(
        title="vLLM",
        protocol="openai",
        base_url="http://127.0.0.1:8000/v1",
        key_variables=("VLLM_API_KEY",),
        local=True,
    ),
}
