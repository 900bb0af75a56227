"""Settings of a group's rules: who answers, by facts of the request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hub.settings.base import Model, Strings, one_or_more

if TYPE_CHECKING:
    from hub.settings.groups import TargetSettings

Bounds = tuple[int | None, int | None]

_COMPARISON = re.compile(r"(?P<sign>[<>]=?|over|under)\s*(?P<number>\d[\d_]*)\s*(?P<unit>[kKmM]?)\s*,?\s*")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


def bounds(text: str) -> Bounds:
    """`>60000`, `over 60k`, `>= 1000 < 60k` as the least and the most; both included. Raises ValueError."""
    least: int | None = None
    most: int | None = None
    at = 0
    text = text.strip()
    while at < len(text):
        match = _COMPARISON.match(text, at)
        if match is None:
            break
        at = match.end()
        number = int(match["number"].replace("_", "")) * _UNITS[match["unit"].lower()]
        match match["sign"]:
            case ">" | "over":
                least = number + 1
            case ">=":
                least = number
            case "<" | "under":
                most = number - 1
            case _:
                most = number
    if at < len(text) or not text:
        raise ValueError('must compare with a number, such as ">60000", "over 60k" or ">=1000 <60000"')
    if least is not None and most is not None and least > most:
        raise ValueError("can never be: no number is within")
    return least, most


def _checked(text: str) -> str:
    bounds(text)
    return text


Comparison = Annotated[str, AfterValidator(_checked)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Efforts = Annotated[
    tuple[Effort, ...],
    BeforeValidator(one_or_more, json_schema_input_type=Effort | tuple[Effort, ...]),
]
YesOrGlobs = Annotated[bool | Strings, Field(union_mode="left_to_right")]


class WhenSettings(Model):
    """All of them must hold. Globs are case-sensitive; of several one must match."""

    model: Strings | None = None
    """Globs over the model name that the client sent."""
    tokens: Comparison | None = None
    """Size of the whole input, estimated: `">60000"`, `over 60k`, `">=1000 <60000"`."""
    images: bool | None = None
    """Whether there is an image anywhere in the conversation."""
    documents: bool | None = None
    """Whether there is a document (a PDF) anywhere in the conversation."""
    thinking: bool | None = None
    """Whether the model is asked to think."""
    effort: Efforts | None = None
    """How hard it shall think; a budget in tokens counts as the nearest effort."""
    tools: YesOrGlobs | None = None
    """Whether the model is given tools, or globs over their names."""
    web_search: bool | None = None
    """Whether it is a web search: the provider's search is the only tool."""
    background: bool | None = None
    """Whether it is a client's small request beside the conversation: a title, a probe, a classifier."""
    subagent: YesOrGlobs | None = None
    """Whether an agent sends it that another agent started, or globs over the kind of that agent."""
    marker: Strings | None = None
    """Globs over what stands in `<hub-route>…</hub-route>` where the prompt begins."""
    header: Mapping[str, Strings] = Field(default_factory=dict)
    """Name of a header -> globs over its value."""
    stream: bool | None = None
    """Whether a stream is wanted."""
    protocol: Strings | None = None
    """The client's protocol."""


class RuleSettings(Model):
    """Who answers when all of `when` holds."""

    name: str | None = Field(default=None, min_length=1, max_length=60)
    """For `x-hub-rule` and `hub explain`; else the rule is known by its number."""
    when: WhenSettings = WhenSettings()
    """Conditions; a rule without any always holds."""
    target: TargetSettings | None = None
    """Who answers."""
    targets: tuple[TargetSettings, ...] = ()
    """Several, ordered by the group's strategy."""
    use: str | None = Field(default=None, min_length=1)
    """Another group that answers, with its own targets, rules and parameters."""
    only: bool = False
    """Ask nobody else where these cannot answer; otherwise the group's own targets are next."""

    @model_validator(mode="before")
    @classmethod
    def _no_others(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "provider" in data and "target" not in data:
            raise ValueError("write `target: {provider: …, model: …}`")
        return data

    @model_validator(mode="after")
    def _one_answer(self) -> RuleSettings:
        given = [name for name in ("target", "targets", "use") if getattr(self, name)]
        if len(given) != 1:
            what = " and ".join(f"`{name}`" for name in given) if given else "none"
            raise ValueError(f"needs one of `target`, `targets` and `use`, and has {what}")
        if self.targets and not any(target.weight for target in self.targets):
            raise ValueError("every target has `weight: 0`, so none could ever answer")
        return self

    def all_targets(self) -> tuple[TargetSettings, ...]:
        return (self.target,) if self.target is not None else self.targets
