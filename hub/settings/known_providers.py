"""The providers that need no settings: protocol, base URL and the variable that holds the key.

`base_url` is what the protocol's own SDK takes: with `/v1` for OpenAI-style ones, without for
Anthropic, Gemini and Ollama. Sources are the providers' own pages, named per row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hub.settings.model import ProtocolName


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """`key_variables` are tried in order; a local server needs none. `model` is a sensible first choice."""

    protocol: ProtocolName
    base_url: str
    key_variables: tuple[str, ...] = ()
    local: bool = False
    model: str | None = None
    title: str = ""

    def key(self, environ: Mapping[str, str]) -> str | None:
        """The first key that is set and not empty."""
        return next((value for name in self.key_variables if (value := environ.get(name, "").strip())), None)


KNOWN_PROVIDERS: Mapping[str, KnownProvider] = {
    "anthropic": KnownProvider("anthropic", "https://api.anthropic.com", ("ANTHROPIC_API_KEY",)),
    "openai": KnownProvider("openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",)),
}
