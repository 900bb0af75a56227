"""Random damage to valid JSON, from a seed: what upstreams and clients might send by mistake or malice."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

_ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "\ud800",
    "data:;base64,",
    [],
    [None],
    ["x"],
    [[]],
    [{}],
    {},
    {"type": "x"},
    {"type": None},
    {"": {}},
)


def mutated(document: Any, random: Random) -> Any:
    """A copy with one to three places replaced, removed, repeated or exchanged."""
    copy = deepcopy(document)
    for _ in range(random.randint(1, 3)):
        places = list(_places(copy))
        if not places:
            return random.choice(_ODD)
        holder, key = random.choice(places)
        match random.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(random.randint(0, len(holder)), deepcopy(holder[key]))
            case 2:
                other, name = random.choice(places)
                if not isinstance(name, int) or name < len(other):
                    holder[key] = deepcopy(other[name])
            case _:
                holder[key] = deepcopy(random.choice(_ODD))
    return copy


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _places(inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield value, index
            yield from _places(inner)
