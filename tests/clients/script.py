"""What the scripted model does: a plan per run, found by a word in the prompt.

Each request is decided from what it holds alone (tools offered, results seen), so that one script drives
every client through every protocol.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

TAG = re.compile(r"plan-[0-9a-f]{8}")
SEARCHES = ("ToolSearch", "tool_search")
TITLE = "A short title"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a request offers; `kind` is function, custom (free text) or search."""

    name: str
    kind: str = "function"
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request holds, whatever its protocol."""

    tools: tuple[Tool, ...]
    results: tuple[tuple[str, str], ...]  # name of the tool, text of its result
    schema: Json | None = None  # of the answer, if the client demands one


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    tool: Tool
    arguments: Json


@dataclass(frozen=True, slots=True)
class Reply:
    text: str = ""
    calls: tuple[Call, ...] = ()
    thought: str = ""
    signature: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class Step:
    """Calls made in one turn, by the name or the end of the name of the tool."""

    feature: str
    calls: tuple[tuple[str, Json], ...]
    expect: tuple[str, ...] = ()  # pieces of text that the results must hold
    before: Callable[[], None] | None = None  # what happens while the model thinks of this turn, once


@dataclass(slots=True)
class Plan:
    steps: tuple[Step, ...] = ()
    failures: list[int] = field(default_factory=list)  # statuses that answer the first requests
    refuse: int = 0  # the status that answers every request
    cut: int = 0  # how many of the first streams break off
    query: str = "select:mcp__hub__{name}"  # finds a tool that the client defers
    tag: str = field(default_factory=lambda: f"plan-{secrets.token_hex(4)}")
    word: str = field(default_factory=lambda: f"word{secrets.token_hex(4)}")
    signature: str = field(default_factory=lambda: secrets.token_hex(24))
    asked: list[Asked] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    replayed: bool = False
    missing: set[str] = field(default_factory=set)
    wires: list[str] = field(default_factory=list)  # the protocols of the requests that offer tools
    begun: set[int] = field(default_factory=set)

    @property
    def prompt(self) -> str:
        return f"Work through the list {self.tag} and tell me the word."

    @property
    def thought(self) -> str:
        return f"Thinking about {self.signature[:8]}."

    def reply(self, asked: Asked) -> Reply:
        """The next turn of the model."""
        if asked.schema is not None:
            return Reply(json.dumps(instance(asked.schema)))
        if not asked.tools:
            return Reply(TITLE)
        seen = sum(name not in SEARCHES for name, _ in asked.results)
        for number, step in enumerate(self.steps):
            if seen < len(step.calls):
                if step.before is not None and number not in self.begun:
                    self.begun.add(number)
                    step.before()
                return self._call(step, asked)
            seen -= len(step.calls)
        return Reply(f"All done. The word is {self.word}.", thought=self.thought, signature=self.signature)

    def _call(self, step: Step, asked: Asked) -> Reply:
        calls: list[Call] = []
        for name, arguments in step.calls:
            found = self._find(name, arguments, asked)
            if found is None:
                self.missing.add(name)
                return Reply(f"There is no tool {name}.")
            tool, given = found
            calls.append(Call(f"call_{secrets.token_hex(8)}", tool, given))
            if tool.name in SEARCHES:
                break
        return Reply("", tuple(calls), self.thought, self.signature)

    def _find(self, name: str, arguments: Json, asked: Asked) -> tuple[Tool, Json] | None:
        tool = find(name, asked.tools)
        if tool is not None:
            return tool, arguments
        # Tools that the client defers: looked up first, then called by name or through another tool.
        full = f"mcp__hub__{name}"
        searched = any(one in SEARCHES for one, _ in asked.results)
        if searched and (through := find("tool_call", asked.tools)):
            return through, {"name": full, "arguments": arguments}
        search = next((tool for tool in asked.tools if tool.name in SEARCHES), None)
        if search is None or searched:
            return None
        return search, {"query": self.query.format(name=name)}

    def problem(self, step: Step) -> str | None:
        """Why this step is not fulfilled; None if it is."""
        if absent := [name for name, _ in step.calls if name in self.missing]:
            return f"the model is not offered the tool {absent[0]}"
        before = 0
        for one in self.steps:
            if one is step:
                break
            before += len(one.calls)
        after = before + len(step.calls)
        last = max((self.texts(asked) for asked in self.asked), key=len, default=[])
        if len(last) < after:
            return f"{max(0, len(last) - before)} of {len(step.calls)} results came back"
        texts = last[before:after]
        for piece in step.expect:
            if not any(piece in text for text in texts):
                return f"no result holds {piece!r}: {texts!r}"[:400]
        return None

    @staticmethod
    def texts(asked: Asked) -> list[str]:
        return [text for name, text in asked.results if name not in SEARCHES]


def find(name: str, tools: Sequence[Tool]) -> Tool | None:
    for tool in tools:
        if tool.name == name:
            return tool
    return next((tool for tool in tools if tool.name.endswith(name)), None)


def instance(schema: Mapping[str, Any]) -> Any:
    """The smallest value that a schema admits."""
    if "enum" in schema:
        return schema["enum"][0]
    match str(schema.get("type", "object")).lower():
        case "object":
            return {name: instance(one) for name, one in schema.get("properties", {}).items()}
        case "array":
            return []
        case "integer" | "number":  # of a confidence, too: how sure it is that the conversation is stuck
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case _:
            return TITLE


def plain(content: Any) -> str:
    """All the text within the content of a message or a result."""
    match content:
        case str():
            return content
        case list():
            return "\n".join(plain(one) for one in content)
        case {"text": str(text)}:
            return text
        case {"content": inner} | {"output": inner}:
            return plain(inner)
        case None:
            return ""
        case _:
            return json.dumps(content)
