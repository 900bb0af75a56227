"""Arguments of a function call that arrive in pieces, each with the place where it belongs.

`streamFunctionCallArguments` of Google Cloud:
https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_LONGEST_ARRAY = 10_000

Step = str | int


def steps(path: str) -> list[Step]:
    """`$.a[0].b` as names and indexes."""
    found: list[Step] = []
    for match in _STEP.finditer(path):
        name, index, quoted, double_quoted = match.groups()
        found.append(int(index) if index is not None else (name or quoted or double_quoted or ""))
    return found


def put(arguments: dict[str, Any], piece: Any) -> None:
    """Put one `partialArg` into its place; text continues text. What has no place is left out."""
    if not isinstance(piece, dict) or not isinstance(piece.get("jsonPath"), str):
        return
    path = steps(piece["jsonPath"])
    if not path or not isinstance(path[0], str):
        return
    value = _value(piece)
    holder: Any = arguments
    for step, following in pairwise(path):
        holder = _descend(holder, step, [] if isinstance(following, int) else {})
        if holder is None:
            return
    known = _get(holder, path[-1])
    _set(holder, path[-1], known + value if isinstance(known, str) and isinstance(value, str) else value)


def _value(piece: dict[str, Any]) -> Any:
    for key in ("stringValue", "numberValue", "boolValue"):
        if piece.get(key) is not None:
            value = piece[key]
            whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
            return int(value) if whole else value
    return None if "nullValue" in piece else ""


def _descend(holder: Any, step: Step, fresh: Any) -> Any:
    found = _get(holder, step)
    if isinstance(found, dict | list):
        return found
    return fresh if _set(holder, step, fresh) else None


def _get(holder: Any, step: Step) -> Any:
    if isinstance(holder, dict) and isinstance(step, str):
        return holder.get(step)
    if isinstance(holder, list) and isinstance(step, int) and step < len(holder):
        return holder[step]
    return None


def _set(holder: Any, step: Step, value: Any) -> bool:
    if isinstance(holder, dict) and isinstance(step, str):
        holder[step] = value
        return True
    if isinstance(holder, list) and isinstance(step, int) and step < _LONGEST_ARRAY:
        holder.extend([None] * (step + 1 - len(holder)))
        holder[step] = value
        return True
    return False
