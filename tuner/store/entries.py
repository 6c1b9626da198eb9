"""Numbered events into the journal, with the details of the reports among them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from tuner.records import Reported
from tuner.store import rows
from tuner.store._base import JournalEntry
from tuner.store.dialects import insert_many
from tuner.store.tables import details, journal


def insert_entries(connection: Connection, study: int, entries: Sequence[JournalEntry]) -> None:
    """Add `entries` to the journal of the study with that id."""
    added = [rows.journal_row(study, entry.number, entry.time, entry.event) for entry in entries]
    if added:
        insert_many(connection, journal, added)
    besides = [
        rows.details_row(study, entry.number, entry.event.report, entry.event.report.details)
        for entry in entries
        if isinstance(entry.event, Reported) and entry.event.report.details is not None
    ]
    if besides:
        insert_many(connection, details, besides)
