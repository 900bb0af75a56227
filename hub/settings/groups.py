"""Settings of groups: the names that chat clients use, and who answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from hub.settings.balance import AffinitySettings, LimitSettings, RetrySettings, SomeTimeoutSettings
from hub.settings.base import Model, Strings
from hub.settings.changes import ChangesSettings
from hub.settings.rules import RuleSettings


class Parameters(Model):
    """Request parameters, in the words of OpenAI Chat Completions, for every protocol."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: Strings | None = None
    seed: int | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    parallel_tool_calls: bool | None = None
    extra_body: Mapping[str, Any] | None = None
    """Further fields for the upstream's body, in the target's own protocol."""


class Adjusted(Parameters, ChangesSettings):
    """What is changed in requests. Parameters stand where the client said nothing."""

    override: Parameters | None = None
    """Parameters that win over the client's own."""


class TargetSettings(Adjusted):
    """A model at a provider. What it changes is added to what its group changes, and wins over it."""

    provider: str = Field(min_length=1)
    """A name of `providers`, or a built-in one."""
    model: str = Field(min_length=1)
    """The model's name there."""
    weight: int = Field(default=1, ge=0)
    """Share of the requests that begin here; 0 is a spare for when the others fail."""
    priority: int = 0
    """Lower ones are asked first; within one priority the group's `strategy` decides."""
    limits: LimitSettings | None = None
    """What is asked of this target at most, with whatever key."""
    timeouts: SomeTimeoutSettings | None = None
    """In place of the group's and the provider's."""


class EmulateSettings(Model):
    """MCP tools that stand for tools which a provider runs itself, on targets that have none."""

    web_search: str | None = Field(default=None, min_length=1)
    """The public name (`server_tool`) of a tool that searches the web, for Anthropic's and OpenAI's
    `web_search` and Gemini's `googleSearch`."""


class GroupSettings(Adjusted):
    """A name that chat clients use for one or more targets.

    The short form (`model`, `provider`) is a list of one target. Parameters beside them are
    defaults that the client's own value overrides; those under `override` win.
    """

    model: str | None = Field(default=None, min_length=1)
    """The model's name at `provider`."""
    provider: str | None = Field(default=None, min_length=1)
    """A name of `providers`, or a built-in one."""
    targets: tuple[TargetSettings, ...] = ()
    """The long form: several targets, for sharing the load and for failover."""
    models: Mapping[str, TargetSettings] = Field(default_factory=dict)
    """Glob over the client's model name -> target; the first match wins, in the file's order."""
    rules: tuple[RuleSettings, ...] = ()
    """Who answers, by facts of the request: the first rule that holds. They stand before `models`."""
    strategy: Literal["weighted", "priority", "round_robin", "least_busy", "latency", "cheapest"] = "weighted"
    """Which target is asked first: drawn by weight, as they are written, in turn, the one with the fewest
    requests in flight, the one that begins to answer soonest, or the one that costs least."""
    fallback: str | None = Field(default=None, min_length=1)
    """Another group, which is asked when nobody of this one answers."""
    fallback_on: tuple[Literal["unavailable", "context_window"], ...] = ("unavailable",)
    """When: nobody answers; the conversation is too long for the model."""
    affinity: bool | AffinitySettings = True
    """Whether a conversation stays at the target and the key that it began with."""
    retry: RetrySettings | None = None
    """How hard to try; absent: with several targets or keys as `{}`, with one alone not at all."""
    timeouts: SomeTimeoutSettings | None = None
    """In place of the providers'."""
    losses: Literal["allow", "warn", "refuse"] = "allow"
    """What the target's protocol cannot express is always told in `x-hub-losses`. `warn` puts it into the
    log as well; `refuse` answers such a request with an error and sends nothing."""
    description: str | None = None
    """Shown by `hub groups`."""
    emulate: EmulateSettings | None = None
    """MCP tools that stand for tools of a provider; in place of the file's own `emulate`."""
    tool_repair: bool = False
    """Make calls of tools that the model writes as text into calls."""

    @model_validator(mode="after")
    def _one_form(self) -> GroupSettings:
        short = self.model is not None or self.provider is not None
        if short and self.targets:
            raise ValueError("give either `model` and `provider`, or `targets`, not both")
        if not short and not self.targets:
            raise ValueError("needs `model` and `provider`, or `targets`")
        if short and (self.model is None or self.provider is None):
            missing = "model" if self.model is None else "provider"
            raise ValueError(
                f"`{missing}` is missing beside `{'provider' if missing == 'model' else 'model'}`"
            )
        if self.targets and not any(target.weight for target in self.targets):
            raise ValueError("every target has `weight: 0`, so none could ever answer")
        return self

    def all_targets(self) -> tuple[TargetSettings, ...]:
        """The targets of either form."""
        if self.model is not None and self.provider is not None:
            return (TargetSettings(provider=self.provider, model=self.model),)
        return self.targets

    def reachable_targets(self) -> tuple[TargetSettings, ...]:
        """Those, and the ones of `models` and `rules`."""
        ruled = (target for rule in self.rules for target in rule.all_targets())
        return (*self.all_targets(), *self.models.values(), *ruled)


RuleSettings.model_rebuild(_types_namespace={"TargetSettings": TargetSettings})
