"""The page Study."""

from __future__ import annotations

import pytest
import studies

from tuner.records import Command, CommandKind

SECTIONS = ("Rungs", "Workers", "Failures", "Events", "Spec")


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_it_survives(shown, store, make, section):
    shown("study", study=make(store), section=section)


def test_an_empty_store_says_what_to_do(shown):
    assert "tune run" in shown("study").info[0].value


def test_what_is_asked_of_a_study_shows_though_it_stands_still(shown, store):
    name = studies.ordinary(store)
    assert "stop" not in " ".join(shown("study", study=name, section="Events").dataframe[-1].value["what"])
    store.post(name, Command(CommandKind.STOP, author="ada"))
    told = shown("study", study=name, section="Events").dataframe[-1].value["what"].tolist()
    assert told[-1].endswith("not taken up yet")
