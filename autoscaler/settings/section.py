"""What all tables of the configuration have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
)


def _printable(text: str) -> str:
    # Names end up in logs, terminals and labels: an escape sequence there could pretend anything.
    if not text.isprintable():
        raise ValueError("it should have no control or invisible characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
Share = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A table of the configuration: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
