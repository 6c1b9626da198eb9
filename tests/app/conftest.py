"""A store for the explorer's pages, and the pages as a test opens them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import reading
from tuner.store import StudyStore, open_store

Opener = Callable[..., AppTest]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudyStore]:
    """An empty store, which the explorer shows."""
    path = tmp_path / "tuner.db"
    monkeypatch.setenv(reading.STORE, str(path))
    st.cache_resource.clear()
    made = open_store(path)
    yield made
    made.close()
    st.cache_resource.clear()


@pytest.fixture
def shown(store: StudyStore) -> Opener:
    """`shown("compare", trials=["0", "1"])`: a page of the explorer, with what the address says, without a browser."""

    def show(page: str, **address: str | list[str]) -> AppTest:
        opened = AppTest.from_string(f"from app.pages import {page}\n{page}.page()", default_timeout=60)
        for key, value in address.items():
            opened.query_params[key] = value
        opened.run()
        assert not opened.exception, opened.exception[0].stack_trace
        return opened

    return show
