"""Numbered events into the journal, with the details and the values of the reports among them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from tuner.records import Reported
from tuner.store import rows
from tuner.store._base import JournalEntry
from tuner.store.dialects import insert_many
from tuner.store.packing import packed
from tuner.store.tables import details, journal, report_values


def insert_entries(connection: Connection, study: int, metric: str, entries: Sequence[JournalEntry]) -> None:
    """Add `entries` to the journal of the study with that id, whose metric has that name."""
    added = [rows.journal_row(study, entry.number, entry.time, entry.event) for entry in entries]
    if added:
        insert_many(connection, journal, added)
    reports = [(entry.number, entry.time, entry.event.report) for entry in entries if isinstance(entry.event, Reported)]
    if reports:
        records = b"".join([packed(number, time, report, metric) for number, time, report in reports])
        insert_many(connection, report_values, [{"study": study, "number": reports[-1][0], "records": records}])
    besides = [
        rows.details_row(study, number, report, report.details)
        for number, _, report in reports
        if report.details is not None
    ]
    if besides:
        insert_many(connection, details, besides)
