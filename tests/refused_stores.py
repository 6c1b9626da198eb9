"""Stores that cannot be used, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner.errors import StoreError
from tuner.store import open_store


def refused(place: Path | str, sign: str, **options: Any) -> StoreError:
    """The error with which looking at the store at `place` ends, once its message fits `sign`."""
    with pytest.raises(StoreError, match=sign) as caught:
        open_store(place, **options).studies()
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__, "the person sees no traceback of a library"
    return error
