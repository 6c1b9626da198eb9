"""What the pages read of the store, kept for as long as the study has not gone on.

Everything here is shared by all readers of the app and is looked at, never changed. The connection is read-only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

from tuner.analysis import StudyView
from tuner.store import StudyRecord, StudyStore, open_store

STORE = "TUNER_APP_STORE"
"""The environment variable in which `tune app` says which store to show."""


@st.cache_resource(show_spinner=False)
def store() -> StudyStore:
    """The store, for reading."""
    return open_store(os.environ.get(STORE) or None, create=False, read_only=True)


def record(name: str) -> StudyRecord:
    """The study's row as it is now. Raises StudyNotFound."""
    return store().study(name)


def view(name: str) -> StudyView:
    """The study as it is now. Raises StudyNotFound."""
    found = record(name)
    return _view(name, _version(found))


@st.cache_resource(show_spinner=False, max_entries=4)
def _view(name: str, version: Hashable) -> StudyView:  # noqa: ARG001 (what the cache is kept by)
    return StudyView(store(), name)


def worked_out(table: Callable[..., Any], study: StudyView, *arguments: Hashable) -> Any:
    """What `table(study, *arguments)` gives, kept until the study goes on."""
    return _worked_out(f"{table.__module__}.{table.__qualname__}", arguments, _version(study.record), table, study)


@st.cache_resource(show_spinner=False, max_entries=64)
def _worked_out(
    name: str,  # noqa: ARG001 (what the cache is kept by)
    arguments: tuple[Hashable, ...],
    version: Hashable,  # noqa: ARG001
    _table: Callable[..., Any],
    _study: StudyView,
) -> Any:
    return _table(_study, *arguments)


def _version(found: StudyRecord) -> Hashable:
    """Changes whenever the study does, its state included."""
    return (found.name, found.created, found.events, found.state)
