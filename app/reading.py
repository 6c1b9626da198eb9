"""What the pages read of the store, kept for as long as the study has not gone on.

Everything here is shared by all readers of the app and is looked at, never changed. The connection is read-only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import streamlit as st

from tuner.analysis import StudyView
from tuner.analysis.compared import Comparison
from tuner.store import ComparisonPlan, ComparisonRun, JournalEntry, StudyRecord, StudyStore, open_store

if TYPE_CHECKING:
    from tuner.analysis.comparison import Run

STORE = "TUNER_APP_STORE"
"""The environment variable in which `tune app` says which store to show."""


@st.cache_resource(show_spinner=False)
def store() -> StudyStore:
    """The store, for reading."""
    return open_store(url(), create=False, read_only=True)


def url() -> str | None:
    """Where the store is; None for the usual place."""
    return os.environ.get(STORE) or None


def record(name: str) -> StudyRecord:
    """The study's row as it is now. Raises StudyNotFound."""
    return store().study(name)


def view(name: str) -> StudyView:
    """The study as it is now. Raises StudyNotFound."""
    found = record(name)
    return _view(name, _version(found))


def every(study: StudyView) -> float | None:
    """Seconds after which a page looks at the study again by itself: while somebody runs it."""
    return 2.0 if study.record.holder is not None else None


@st.cache_resource(show_spinner=False, max_entries=4)
def _view(name: str, version: Hashable) -> StudyView:  # noqa: ARG001 (what the cache is kept by)
    return StudyView(store(), name)


def comparison(name: str) -> Comparison:
    """The comparison as it is now; a run that has ended is read once. Raises StudyNotFound."""

    def read(_: StudyStore, plan: ComparisonPlan, run: ComparisonRun) -> Run:
        return _run((run.study, found.record.created, found.states[run.study]), plan, run)

    found = Comparison(store(), name, read)
    return _comparison(_standing(found), found)


@st.cache_resource(show_spinner=False, max_entries=4)
def _comparison(version: Hashable, _found: Comparison) -> Comparison:  # noqa: ARG001
    return _found


@st.cache_resource(show_spinner=False, max_entries=2_000)
def _run(version: Hashable, _plan: ComparisonPlan, _of: ComparisonRun) -> Run:  # noqa: ARG001
    from tuner.analysis.findings import read_run  # SciPy: not for the other pages

    return read_run(store(), _plan, _of)


def worked_out(table: Callable[..., Any], study: StudyView | Comparison, *arguments: Hashable) -> Any:
    """What `table(study, *arguments)` gives, kept until the study, or the comparison, goes on."""
    version = _standing(study) if isinstance(study, Comparison) else _version(study.record)
    return _worked_out(f"{table.__module__}.{table.__qualname__}", arguments, version, table, study)


@st.cache_resource(show_spinner=False, max_entries=64)
def _worked_out(
    name: str,  # noqa: ARG001 (what the cache is kept by)
    arguments: tuple[Hashable, ...],
    version: Hashable,  # noqa: ARG001
    _table: Callable[..., Any],
    _study: StudyView | Comparison,
) -> Any:
    return _table(_study, *arguments)


@st.cache_resource(show_spinner=False)
def _last_ticks() -> dict[tuple[str, float], JournalEntry]:
    return {}


def last_tick(name: str, created: float) -> list[JournalEntry]:
    """The study's last tick, if there is one: those before it are read once, however many they are."""
    known = _last_ticks()
    before = known.get((name, created))
    for entry in store().journal(name, before.number if before else 0, kinds=["ticked"]):
        known[name, created] = entry
    return [known[name, created]] if (name, created) in known else []


def _version(found: StudyRecord) -> Hashable:
    """Changes whenever the study does, its state and what is asked of it included."""
    return (found.name, found.created, found.events, found.commands, found.state)


def _standing(found: Comparison) -> Hashable:
    """Changes whenever the comparison does: with a method or repeat more, and with the state of each run."""
    return (found.name, found.record.created, found.plan.methods, found.plan.repeats, tuple(found.states.items()))
