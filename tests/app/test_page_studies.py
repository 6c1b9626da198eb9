"""The page Studies."""

from __future__ import annotations

import sqlite3

import pytest
import studies
from store_comparisons import plan, run


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_it_survives(shown, store, make):
    make(store)
    page = shown("studies")
    assert len(page.dataframe[0].value) == 1


def test_an_empty_store_says_what_to_do(shown):
    assert "tune run" in shown("studies").info[0].value


def test_all_studies_are_listed_and_filtered(shown, store):
    for make in studies.EDGES:
        make(store)
    assert len(shown("studies").dataframe[0].value) == len(studies.EDGES)
    page = shown("studies", **{"find-study": "custom"})
    assert page.dataframe[0].value["study"].tolist() == ["custom"]
    assert page.dataframe[0].value["best"].tolist() == [3.9]
    assert shown("studies", **{"study-state": "running"}).dataframe[0].value["study"].tolist() == ["just-started"]
    assert "No study is like that" in shown("studies", **{"find-study": "nowhere"}).info[0].value


def test_runs_of_comparisons_are_listed_when_asked_for(shown, store):
    studies.ordinary(store)
    store.comparisons.create(plan())
    store.comparisons.add_run(run("random", 0), studies.spec_of("mnist-compare.random.0"))
    page = shown("studies")
    assert [table.value.iloc[0, 0] for table in page.dataframe] == ["ordinary", "mnist-compare"]
    assert "runs of comparisons that are not listed: 1" in page.caption[0].value
    assert len(shown("studies", runs="true").dataframe[0].value) == 2


def test_a_study_whose_spec_cannot_be_read_says_why(shown, store, tmp_path):
    studies.ordinary(store)
    studies.single(store)
    with sqlite3.connect(tmp_path / "tuner.db") as database:
        database.execute("update studies set spec = '{}' where name = 'single'")
    database.close()
    row = shown("studies").dataframe[0].value.set_index("study").loc["single"]
    assert row["state"] == "unreadable"
    assert row["message"]


def test_a_comparison_that_cannot_be_read_is_in_nobodys_way(shown, store, tmp_path):
    for name in ("broken", "whole"):
        store.comparisons.create(plan(name))
    with sqlite3.connect(tmp_path / "tuner.db") as database:
        database.execute("update comparisons set methods = '{' where name = 'broken'")
    database.close()
    table = shown("studies").dataframe[0].value.set_index("comparison")
    assert table["state"].to_dict() == {"whole": "unfinished", "broken": "unreadable"}
    assert "comparison 'broken'" in table.loc["broken", "message"]
    assert "None of its runs has ended" in shown("strategies", comparison="whole").info[0].value
