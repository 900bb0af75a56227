"""What every part of the settings model is made of: frozen, comparing by value, unknown keys refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def one_or_more(value: object) -> object:
    """Accept a single value where a list is meant: `stop: END`, `include: "*"`."""
    return [value] if isinstance(value, str) else value


Strings = Annotated[
    tuple[str, ...], BeforeValidator(one_or_more, json_schema_input_type=str | tuple[str, ...])
]


class Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
