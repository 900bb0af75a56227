"""Settings of what a group or a target changes in requests, besides parameters."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, SecretStr, model_validator

from hub.settings.base import Model
from hub.settings.mcp import ToolFilter
from routing.changes import Replacement


class ReplaceSettings(Model):
    """A replacement in the system prompt."""

    find: str | None = Field(default=None, min_length=1)
    """A text, found as it is written."""
    regex: str | None = Field(default=None, min_length=1)
    """A regular expression of Python's module `regex`. It gets 100 ms for each text."""
    with_: str = Field(default="", alias="with")
    """What stands there afterwards; with `regex`, `\\1` and `\\g<name>` are its groups."""
    limit: int | None = Field(default=None, ge=1)
    """How often at most, from the beginning; by default everywhere."""

    @model_validator(mode="after")
    def _one_of_both(self) -> ReplaceSettings:
        if (self.find is None) == (self.regex is None):
            raise ValueError("needs either `find` (a text) or `regex`")
        try:
            self.replacement()
        except ValueError as error:
            raise ValueError(f"`regex` {error}") from None
        return self

    def replacement(self) -> Replacement:
        """Raises ValueError for a regular expression that cannot be read."""
        return Replacement(self.find or self.regex or "", self.with_, self.find is None, self.limit or 0)


class SystemSettings(Model):
    """The system prompt. First `text` or `replace`, then what stands before and after."""

    text: str | None = None
    """In place of the client's; empty: none."""
    replace: tuple[ReplaceSettings, ...] = ()
    """Replacements, one after another."""
    prepend: str = ""
    """Before the client's, with an empty line between."""
    append: str = ""
    """After the client's, with an empty line between."""

    @model_validator(mode="after")
    def _one_of_both(self) -> SystemSettings:
        if self.text is not None and self.replace:
            raise ValueError("give either `text` or `replace`: nothing of the client's is left to replace")
        return self


class ToolNames(ToolFilter):
    """Globs over the names of the tools in a request; exclude wins over include."""


class ChangesSettings(Model):
    """What is changed in requests, besides parameters."""

    temperature_ratio: float | None = Field(default=None, ge=0, le=10)
    """What the temperature that the client gives is multiplied with."""
    system: SystemSettings | None = None
    """Changes of the system prompt."""
    tools: ToolNames | None = None
    """Which of the request's tools the model is given."""
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Sent to the upstream; they win over the provider's."""
