"""The bases of request and response models."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """A request body: an unknown field is refused by name, text is stripped, nothing is coerced silently."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    def given(self) -> dict[str, Any]:
        """Only the fields that were sent."""
        return self.model_dump(exclude_unset=True)


class Out(BaseModel):
    """A response body, for the contract."""

    model_config = ConfigDict(extra="forbid")
