"""The writer of a study in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import final

from sqlalchemy import RowMapping, bindparam, select

from tuner.records import Event, TrialSummary
from tuner.store import lease, rows
from tuner.store._base import JournalEntry
from tuner.store.database import Database
from tuner.store.dialects import upsert
from tuner.store.entries import insert_entries
from tuner.store.tables import studies, trials

_N_EVENTS = select(studies.c.events).where(studies.c.id == bindparam("study"))


@final
class SqlWriter:
    """The writer of one study, for as long as its token is the one in the study's row."""

    def __init__(self, database: Database, clock: Callable[[], float], row: RowMapping, token: str) -> None:
        self._database = database
        self._clock = clock
        self._study: int = row["id"]
        self._name: str = row["name"]
        self._metric = rows.metric_name(row["spec"])
        self._token = token
        self._upsert_trials = upsert(database.dialect, trials)
        self._unanswered: tuple[Sequence[Event], int] | None = None
        """The events whose commit was asked for and never acknowledged, and the number of the last one before them."""

    def append(self, events: Sequence[Event], trials: Iterable[TrialSummary] = ()) -> None:
        now = self._clock()
        changed = [rows.trial_row(self._study, summary) for summary in trials]
        with self._database.writing() as connection:
            before = connection.execute(_N_EVENTS, {"study": self._study}).scalar() or 0
            if self._is_there(events, before):
                lease.keep(connection, self._study, self._token, self._name, {"heartbeat": now})
                return
            self._unanswered = (events, before)
            changes = {"updated": now, "heartbeat": now, "events": before + len(events), **rows.last_word(events)}
            changes |= rows.revised_spec(events)
            lease.keep(connection, self._study, self._token, self._name, changes)
            entries = [JournalEntry(before + i, now, event) for i, event in enumerate(events, 1)]
            insert_entries(connection, self._study, self._metric, entries)
            if changed:
                connection.execute(self._upsert_trials, changed)
        self._unanswered = None

    def _is_there(self, events: Sequence[Event], n_there: int) -> bool:
        """Whether these events were committed although nobody said so: the connection was lost before the answer."""
        if self._unanswered is None or self._unanswered[0] is not events:
            return False
        return n_there == self._unanswered[1] + len(events)

    def heartbeat(self) -> None:
        with self._database.writing() as connection:
            lease.keep(connection, self._study, self._token, self._name, {"heartbeat": self._clock()})

    def release(self) -> None:
        with self._database.writing() as connection:
            lease.give_back(connection, self._study, self._token)
