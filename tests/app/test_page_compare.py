"""The page Compare trials."""

from __future__ import annotations

import pytest
import studies


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_it_survives(shown, store, make):
    shown("compare", study=make(store))


def test_an_empty_store_says_what_to_do(shown):
    assert "tune run" in shown("compare").info[0].value
