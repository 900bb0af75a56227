"""What could not be carried over, reported: never dropped in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.canonical import ChatRequest, Extensions, Thinking
from adapters.errors import Unsupported

_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "store": (False,),
    "modalities": (["text"],),
    "truncation": ("disabled",),
    "background": (False,),
    "defer_loading": (False,),
    "allowed_callers": (["direct"],),
    "eager_input_streaming": (False,),
    "citations": ({"enabled": False},),
    "stream_options.include_obfuscation": (False,),
    "caller": ({"type": "direct"},),
}
"""Values of keys in the extension bags that ask for what every target does unasked."""


_NEUTRAL_FIELDS: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "metadata": ({},),
    "service_tier": ("auto", "default", "standard", "standard_only"),
    "parallel_tool_calls": (True,),
}
"""The same of the request's own fields."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that the target cannot express.

    `code` is short and stable (`top_k`, `cache_control`, `thinking.signature`), `where` a JSON path in
    the client's body as far as it is known (`messages[3].content[0]`), `detail` a sentence.
    """

    code: str
    where: str = ""
    detail: str = ""


class Losses:
    """Collects losses during one encoding. The same code at many places is kept at each."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: list[Loss] = []

    def add(self, code: str, where: str = "", detail: str = "") -> None:
        self._items.append(Loss(code, where, detail))

    def append(self, loss: Loss) -> None:
        self._items.append(loss)

    def foreign(self, extensions: Extensions, protocol: str, where: str) -> None:
        """Report every extension key that belongs to another protocol than `protocol`.

        Keys that begin with `_` are a codec's notes on spelling (`content` as a list or a string):
        nothing is lost with them, nor with a value that is empty or says what the target does anyway.
        Keys that begin with `!` stand for what the answer would make no sense without (a conversation
        that the provider stores): they raise Unsupported.
        """
        for owner, bag in extensions.items():
            if owner != protocol:
                for key, value in bag.items():
                    if key.startswith("_") or (key in _NEUTRAL and value in _NEUTRAL[key]):
                        continue
                    if key.startswith("!"):
                        raise Unsupported(
                            f"`{key[1:]}` needs a target that speaks {owner}: this one speaks "
                            f"{protocol}. Send the whole conversation instead, or choose another group.",
                            where=where or None,
                        )
                    name = key.removeprefix("=")
                    path = f"{where}.{name}" if where else name
                    self._items.append(Loss(key, path, f"{owner} `{key}` has no counterpart in {protocol}"))

    def fields(self, request: ChatRequest, names: Iterable[str], detail: str) -> None:
        """Report those of the request's fields that ask for something, of a target that has none of them."""
        for name in names:
            value = getattr(request, name)
            if value is not None and value not in _NEUTRAL_FIELDS.get(name, ()):
                self._items.append(Loss(name, name, detail))

    def thinking(self, part: Thinking, where: str, detail: str) -> None:
        """Report a thought that is left away whole, by what of it the model would have read."""
        code = "thinking.redacted" if part.redacted else "thinking" if part.text else "thinking.signature"
        self._items.append(Loss(code, part.place or where, detail))

    def extend(self, losses: Losses) -> None:
        self._items.extend(losses)

    @property
    def codes(self) -> tuple[str, ...]:
        """Each code once, in order of appearance: the value of `x-hub-losses`."""
        return tuple(dict.fromkeys(loss.code for loss in self._items))

    def __iter__(self) -> Iterator[Loss]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
