"""The store in SQL: studies, journals, trials and commands of one database."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tuner.errors import StoreError, StudyExists, StudyNotFound
from tuner.records import Command, Details, Report, TrialSummary
from tuner.spec import StudySpec
from tuner.store import lease, rows
from tuner.store._base import EventKind, JournalEntry, PostedCommand, Remark, StudyOutline, StudyRecord, Writer
from tuner.store._values import ReportValues
from tuner.store.database import Database
from tuner.store.dialects import by_index
from tuner.store.migrations import DETAILS_SINCE, VALUES_SINCE, stored_version
from tuner.store.outlines import read_outlines
from tuner.store.packing import packed, unpacked
from tuner.store.sql_comparisons import SqlComparisons, refuse_comparison
from tuner.store.sql_writer import SqlWriter
from tuner.store.tables import (
    BUT_REPORTS,
    EVENTS_BUT_REPORTS,
    EVENTS_BY_TRIAL,
    commands,
    details,
    journal,
    report_values,
    studies,
    trials,
)

Clock = Callable[[], float]

PAGE = 2_000
"""How many events are read in one transaction, so that reading a long journal keeps none open."""

_REPORTED: tuple[EventKind, ...] = ("reported",)

MANY_TRIALS = 10_000
"""Reports of more trials than these are chosen among all of them: SQLite takes 32,766 numbers in a statement."""


@final
class SqlStore:
    """A StudyStore on SQLite or PostgreSQL. Safe to use from several threads and processes."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock
        self.comparisons = SqlComparisons(database, clock)
        """See tuner.store.Comparisons."""

    def create(self, spec: StudySpec) -> StudyRecord:
        row = rows.study_row(spec, self._clock())
        if self._database.absent():
            raise StoreError(f"{self._database.place} was opened for reading, and is not there")
        with self._database.writing() as connection:
            refuse_comparison(connection, spec.study)
            try:
                connection.execute(insert(studies).values(row))
            except IntegrityError:
                raise StudyExists(
                    f"there is a study {spec.study!r} already", hint="Resume it, delete it, or choose another name."
                ) from None
        return self.study(spec.study)

    def studies(self) -> list[StudyRecord]:
        if self._database.absent():
            return []
        newest_first = select(studies).order_by(studies.c.updated.desc(), studies.c.id.desc())
        with self._database.reading() as connection:
            found = connection.execute(newest_first).mappings().all()
        return [self._record(row) for row in found]

    def names(self) -> list[str]:
        if self._database.absent():
            return []
        newest_first = select(studies.c.name).order_by(studies.c.updated.desc(), studies.c.id.desc())
        with self._database.reading() as connection:
            return list(connection.execute(newest_first).scalars().all())

    def outlines(self) -> list[StudyOutline]:
        if self._database.absent():
            return []
        with self._database.reading() as connection:
            return read_outlines(connection, self._clock())

    def study(self, name: str) -> StudyRecord:
        with self._reading(name) as (_, row):
            return self._record(row)

    def delete(self, name: str) -> None:
        with self._writing(name) as (connection, row):
            lease.refuse_if_held(row, self._clock())
            connection.execute(delete(studies).where(studies.c.id == row["id"]))  # the other tables' rows follow

    def write(self, name: str) -> Writer:
        with self._writing(name) as (connection, row):
            token = lease.take(connection, row, self._clock())
        return SqlWriter(self._database, self._clock, row, token)

    def journal(self, name: str, after: int = 0, kinds: Collection[EventKind] | None = None) -> Iterator[JournalEntry]:
        with self._reading(name) as (_, row):
            study = row["id"]
        return self._entries(name, study, after, kinds)

    def trials(self, name: str) -> list[TrialSummary]:
        with self._reading(name) as (connection, row):
            mine = select(trials).where(trials.c.study == row["id"]).order_by(trials.c.number)
            found = connection.execute(mine).all()
        with rows.damage_told(f"the trials of study {name!r}"):
            return [rows.trial_summary(row) for row in found]

    def reports(self, name: str, trial: int | Collection[int] | None = None) -> list[Report]:
        with self._reading(name) as (connection, row):
            mine = (journal.c.study == row["id"]) & (journal.c.kind == "reported")
            chosen = None if trial is None else {trial} if isinstance(trial, int) else set(trial)
            if few := chosen is not None and len(chosen) <= MANY_TRIALS:
                mine &= journal.c.trial.in_([int(number) for number in chosen])
            theirs = select(journal.c.trial, journal.c.body).where(mine).order_by(journal.c.number)
            found = connection.execute(by_index(theirs, EVENTS_BY_TRIAL) if few else theirs).all()
        with rows.damage_told(f"the journal of study {name!r}"):
            return [rows.report(body) for number, body in found if chosen is None or number in chosen]

    def values(self, name: str, after: int = 0) -> ReportValues:
        with self._reading(name) as (connection, row):
            study, metric = row["id"], rows.metric_name(row["spec"])
            if kept := stored_version(connection) >= VALUES_SINCE:
                rest = (report_values.c.study == study) & (report_values.c.number > after)
                groups = select(report_values.c.records).where(rest).order_by(report_values.c.number)
                records = connection.execute(groups).scalars().all()
        if not kept:
            reported = self._entries(name, study, after, _REPORTED)
            records = [packed(entry.number, entry.time, rows.reported(entry.event), metric) for entry in reported]
        with rows.damage_told(f"the values of study {name!r}"):
            return unpacked(records, after)

    def details(self, name: str, trial: int) -> list[tuple[int, Details]]:
        with self._reading(name) as (connection, row):
            if stored_version(connection) < DETAILS_SINCE:
                return []
            mine = (details.c.study == row["id"]) & (details.c.trial == trial)
            found = connection.execute(select(details).where(mine).order_by(details.c.number)).mappings().all()
        with rows.damage_told(f"the details of trial {trial} of study {name!r}"):
            return [rows.resource_and_details(row) for row in found]

    def remarks(self, name: str, trials: Collection[int]) -> list[Remark]:
        chosen = [int(trial) for trial in set(trials)]
        if len(chosen) > MANY_TRIALS:
            raise ValueError(f"of at most {MANY_TRIALS} trials at a time, got {len(chosen)}")
        with self._reading(name) as (connection, row):
            if stored_version(connection) < DETAILS_SINCE:
                return []
            mine = (details.c.study == row["id"]) & details.c.trial.in_(chosen) & (details.c.events != "[]")
            told = select(details.c.trial, details.c.resource, details.c.events).where(mine).order_by(details.c.number)
            found = connection.execute(told).all()
        with rows.damage_told(f"the details of study {name!r}"):
            return [Remark(number, resource, event) for number, resource, told in found for event in rows.remarks(told)]

    def post(self, name: str, command: Command) -> int:
        with self._writing(name) as (connection, row):
            # The update locks the study's row, so that the number read next is nobody else's.
            mine = studies.c.id == row["id"]
            connection.execute(update(studies).where(mine).values(commands=studies.c.commands + 1))
            number = connection.execute(select(studies.c.commands).where(mine)).scalar_one()
            posted = {"study": row["id"], "number": number, "time": self._clock(), "body": rows.command_body(command)}
            connection.execute(insert(commands).values(posted))
        return int(number)

    def commands(self, name: str, after: int = 0) -> list[PostedCommand]:
        with self._reading(name) as (connection, row):
            mine = (commands.c.study == row["id"]) & (commands.c.number > after)
            found = connection.execute(select(commands).where(mine).order_by(commands.c.number)).mappings().all()
        with rows.damage_told(f"the commands of study {name!r}"):
            return [rows.posted_command(row) for row in found]

    def close(self) -> None:
        self._database.close()

    def _entries(
        self, name: str, study: int, after: int, kinds: Collection[EventKind] | None
    ) -> Iterator[JournalEntry]:
        while True:
            rest = (journal.c.study == study) & (journal.c.number > after)
            page = select(journal).where(rest).order_by(journal.c.number).limit(PAGE)
            with self._database.reading() as connection:
                if kinds is not None:
                    page = page.where(journal.c.kind.in_(kinds))
                    if "reported" not in kinds and stored_version(connection) >= VALUES_SINCE:
                        page = by_index(page.where(BUT_REPORTS), EVENTS_BUT_REPORTS)
                found = connection.execute(page).mappings().all()
            with rows.damage_told(f"the journal of study {name!r}"):
                entries = [rows.journal_entry(row) for row in found]
            yield from entries
            if len(found) < PAGE:
                return
            after = found[-1]["number"]

    @contextmanager
    def _reading(self, name: str) -> Iterator[tuple[Connection, RowMapping]]:
        if self._database.absent():
            raise StudyNotFound(f"there is no study {name!r}", hint=f"{self._database.place} is not there yet.")
        with self._database.reading() as connection:
            yield connection, _find(connection, name)

    @contextmanager
    def _writing(self, name: str) -> Iterator[tuple[Connection, RowMapping]]:
        if self._database.absent():
            raise StudyNotFound(f"there is no study {name!r}", hint=f"{self._database.place} is not there yet.")
        with self._database.writing() as connection:
            yield connection, _find(connection, name, locked=True)

    def _record(self, row: RowMapping) -> StudyRecord:
        now = self._clock()
        return StudyRecord(
            name=row["name"],
            spec=rows.stored_spec(row),
            state=lease.state(row, now),
            reason=row["reason"],
            created=row["created"],
            updated=row["updated"],
            events=row["events"],
            commands=row["commands"],
            holder=lease.live_holder(row, now),
        )


def _find(connection: Connection, name: str, *, locked: bool = False) -> RowMapping:
    mine = select(studies).where(studies.c.name == name)
    if locked:  # on PostgreSQL, so that nobody takes a study's lease while it is deleted; SQLite's writers are alone
        mine = mine.with_for_update()
    row = connection.execute(mine).mappings().first()
    if row is None:
        newest = select(studies.c.name).order_by(studies.c.updated.desc()).limit(5)
        known = connection.execute(newest).scalars().all()
        raise StudyNotFound(
            f"there is no study {name!r}",
            hint=f"The newest ones are {', '.join(known)}." if known else "The store has no studies yet.",
        )
    return row
