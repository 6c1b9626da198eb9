"""Part: what every piece of a study's description has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from tuner.errors import SpecError
from tuner.space import FrozenDict

Count = Annotated[int, Field(ge=1, le=10**15)]
"""A positive number that no database column or float loses digits of."""


Resource = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""A resource, as a column of whole numbers holds it in every database."""


class Part(BaseModel):
    """Frozen, strict about types, and closed: an unknown key is an error.

    Every mistake is a SpecError, whether the part is written in YAML or constructed in Python. Its path is relative to
    the part; the part around it puts the field's name before it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _field_mistakes(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        key = cls.model_fields[info.field_name].alias or info.field_name
        try:
            return handler(value)
        except SpecError as error:
            raise error.at(key) from None
        except ValidationError as error:
            from tuner.spec.mistakes import field_mistake

            raise field_mistake(error, cls, key, value) from None

    @model_validator(mode="wrap")
    @classmethod
    def _model_mistakes(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(dict(data) if isinstance(data, Mapping) else data)
        except ValidationError as error:
            if isinstance(data, Part):
                raise  # a part of another kind: one of a union's others may take it, or the field says what is wrong
            from tuner.spec.mistakes import model_mistake

            raise model_mistake(error, cls, data) from None


def frozen(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The mapping, read-only; for fields that are mappings."""
    return FrozenDict(data)
