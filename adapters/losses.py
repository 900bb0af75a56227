"""What could not be carried over, reported: never dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapters.canonical import Extensions
from adapters.errors import Unsupported


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

    def foreign(self, extensions: Extensions, protocol: str, where: str) -> None:
        """Report every extension key that belongs to another protocol than `protocol`.

        Keys that begin with `_` are a codec's notes on spelling (`content` as a list or a string):
        nothing is lost with them. Keys that begin with `!` stand for what the answer would make no
        sense without (a conversation that the provider stores): they raise Unsupported.
        """
        for owner, bag in extensions.items():
            if owner != protocol:
                for key in bag:
                    if key.startswith("_"):
                        continue
                    if key.startswith("!"):
                        raise Unsupported(
                            f"`{key[1:]}` needs a target that speaks {owner}: this one speaks "
                            f"{protocol}. Send the whole conversation instead, or choose another group.",
                            where=where or None,
                        )
                    self._items.append(Loss(key, where, f"{owner} `{key}` has no counterpart in {protocol}"))

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
