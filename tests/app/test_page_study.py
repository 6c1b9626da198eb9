"""The page Study."""

from __future__ import annotations

import os

import pytest
import studies

from app import reading
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


def test_a_slow_worker_is_named_with_its_machine(shown):
    page = shown("study", study=studies.one_slow_worker(os.environ[reading.STORE]), section="Workers")
    assert len(page.warning) == 1
    assert page.warning[0].value.startswith("Worker node\\-7 2 takes ")
    table = page.dataframe[-1].value.set_index("worker")
    assert table.loc["node-7 2", "factor"] == pytest.approx(3.0, rel=0.15)
    assert table["slow"].to_dict() == {"node-5 0": False, "node-6 1": False, "node-7 2": True}


def test_of_equal_workers_none_is_named(shown, store):
    assert not shown("study", study=studies.ordinary(store), section="Workers").warning
