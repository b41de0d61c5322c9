"""The bases of request and response models."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A request body: an unknown field is refused by name, text is stripped, nothing is coerced silently."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    def given(self) -> dict[str, Any]:
        """Only the fields that were sent."""
        return self.model_dump(exclude_unset=True)


class Out(BaseModel):
    """A response body, for the contract."""

    model_config = ConfigDict(extra="forbid")


HORIZON = "e1d3a95f7b2.48210"
HorizonOut = Annotated[
    str,
    Field(
        description="Up to where this list is whole; the same on every page of one pull. Keep it, and send it as "
        "`changed_since` next time. It is opaque.",
        examples=[HORIZON],
    ),
]
