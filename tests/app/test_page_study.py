"""The page Study."""

from __future__ import annotations

import pytest
import studies

SECTIONS = ("Rungs", "Workers", "Failures", "Events", "Spec")


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_it_survives(shown, store, make, section):
    shown("study", study=make(store), section=section)


def test_an_empty_store_says_what_to_do(shown):
    assert "tune run" in shown("study").info[0].value
