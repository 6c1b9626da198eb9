"""Comparisons in SQL: plans, and which studies are their runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tuner.errors import StoreError, StudyExists, StudyNotFound
from tuner.records import TrialSummary
from tuner.spec import StudySpec
from tuner.store import lease, rows
from tuner.store._base import JournalEntry, StudyState
from tuner.store._comparisons import ComparisonPlan, ComparisonRecord, ComparisonRun, Replay
from tuner.store.database import Database
from tuner.store.entries import insert_entries
from tuner.store.migrations import COMPARISONS_SINCE, stored_version
from tuner.store.tables import comparisons, runs, studies, trials

_REMEDY = "Choose another name, or delete what has it."


@final
class SqlComparisons:
    """The Comparisons of one database."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def create(self, plan: ComparisonPlan) -> ComparisonRecord:
        if self._database.absent():
            raise StoreError(f"{self._database.place} was opened for reading, and is not there")
        with self._database.writing() as connection:
            if connection.execute(select(studies.c.id).where(studies.c.name == plan.name)).first() is not None:
                raise StudyExists(f"there is a study {plan.name!r} already", hint=_REMEDY)
            refuse_comparison(connection, plan.name)
            connection.execute(insert(comparisons).values(_columns(plan) | {"created": self._clock()}))
        return self.find(plan.name)

    def change(self, plan: ComparisonPlan) -> ComparisonRecord:
        self._refuse_absent(plan.name)
        with self._database.writing() as connection:
            found = _find(connection, plan.name)
            connection.execute(update(comparisons).where(comparisons.c.id == found["id"]).values(_columns(plan)))
        return self.find(plan.name)

    def names(self) -> list[str]:
        if self._database.absent():
            return []
        with self._database.reading() as connection:
            if stored_version(connection) < COMPARISONS_SINCE:
                return []
            newest_first = select(comparisons.c.name).order_by(comparisons.c.created.desc(), comparisons.c.id.desc())
            return list(connection.execute(newest_first).scalars())

    def find(self, name: str) -> ComparisonRecord:
        self._refuse_absent(name)
        with self._database.reading() as connection:
            return _record(_find(connection, name))

    def runs(self, name: str | None = None) -> list[ComparisonRun]:
        if name is not None:
            self._refuse_absent(name)
        elif self._database.absent():
            return []
        with self._database.reading() as connection:
            if name is not None:
                _find(connection, name)
            elif stored_version(connection) < COMPARISONS_SINCE:
                return []
            all_runs = (
                select(comparisons.c.name, runs.c.method, runs.c.repeat, studies.c.name)
                .join_from(runs, studies)
                .join(comparisons, comparisons.c.id == runs.c.comparison)
                .order_by(runs.c.study)
            )
            mine = all_runs if name is None else all_runs.where(comparisons.c.name == name)
            return [ComparisonRun(*row) for row in connection.execute(mine)]

    def states(self, name: str) -> dict[str, StudyState]:
        self._refuse_absent(name)
        with self._database.reading() as connection:
            found = _find(connection, name)
            mine = select(studies).join_from(runs, studies).where(runs.c.comparison == found["id"])
            rows_there = connection.execute(mine.order_by(runs.c.study)).mappings().all()
        now = self._clock()
        return {row["name"]: lease.state(row, now) for row in rows_there}

    def add_run(
        self,
        run: ComparisonRun,
        spec: StudySpec,
        journal: Sequence[JournalEntry] = (),
        trials: Iterable[TrialSummary] = (),
    ) -> None:
        self._refuse_absent(run.comparison)
        word = rows.last_word(entry.event for entry in journal)
        row = rows.study_row(spec, self._clock()) | {"events": len(journal)} | word
        with self._database.writing() as connection:
            comparison = _find(connection, run.comparison)
            try:
                study = connection.execute(insert(studies).values(row).returning(studies.c.id)).scalar_one()
                membership = {"study": study, "comparison": comparison["id"]}
                connection.execute(insert(runs).values(method=run.method, repeat=run.repeat, **membership))
            except IntegrityError:
                raise StudyExists(
                    f"there is a study {run.study!r} already, or another one is run {run.repeat} of {run.method}",
                    hint="Another process may run the same comparison. Wait for it, or choose another name.",
                ) from None
            insert_entries(connection, study, spec.metric.name, journal)
            _insert_trials(connection, study, trials)

    def delete(self, name: str) -> None:
        self._refuse_absent(name)
        with self._database.writing() as connection:
            found = _find(connection, name)
            mine = select(runs.c.study).where(runs.c.comparison == found["id"])
            now = self._clock()
            for row in connection.execute(select(studies).where(studies.c.id.in_(mine))).mappings():
                lease.refuse_if_held(row, now)
            connection.execute(delete(studies).where(studies.c.id.in_(mine)))
            connection.execute(delete(comparisons).where(comparisons.c.id == found["id"]))

    def _refuse_absent(self, name: str) -> None:
        if self._database.absent():
            raise StudyNotFound(f"there is no comparison {name!r}", hint=f"{self._database.place} is not there yet.")


def refuse_comparison(connection: Connection, name: str) -> None:
    """Raises StudyExists if a comparison has that name. For a connection that writes, to the newest tables."""
    if connection.execute(select(comparisons.c.id).where(comparisons.c.name == name)).first() is not None:
        raise StudyExists(f"there is a comparison {name!r} already", hint=_REMEDY)


def _insert_trials(connection: Connection, study: int, summaries: Iterable[TrialSummary]) -> None:
    added = [rows.trial_row(study, summary) for summary in summaries]
    if added:
        connection.execute(insert(trials), added)


def _find(connection: Connection, name: str) -> RowMapping:
    row = None
    if stored_version(connection) >= COMPARISONS_SINCE:
        row = connection.execute(select(comparisons).where(comparisons.c.name == name)).mappings().first()
    if row is None:
        raise StudyNotFound(f"there is no comparison {name!r}", hint="`tune list` shows what there is.")
    return row


def _columns(plan: ComparisonPlan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "spec": rows.spec_text(plan.spec),
        "methods": json.dumps(plan.methods),
        "repeats": plan.repeats,
        "replay": None if plan.replay is None else json.dumps(dataclasses.asdict(plan.replay)),
    }


def _record(row: RowMapping) -> ComparisonRecord:
    with rows.damage_told(f"comparison {row['name']!r}"):
        replay = None if row["replay"] is None else Replay(**json.loads(row["replay"]))
        methods = tuple(str(method) for method in json.loads(row["methods"]))
    return ComparisonRecord(ComparisonPlan(rows.stored_spec(row), methods, row["repeats"], replay), row["created"])
