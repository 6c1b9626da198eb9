"""Which errors of a database waiting may mend."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from tuner.store.dialects import is_away


def sqlite(code):
    original = sqlite3.OperationalError("it says")
    original.sqlite_errorcode = code
    return OperationalError("statement", {}, original)


class Psycopg(Exception):
    def __init__(self, said, sqlstate=None):
        super().__init__(said)
        self.sqlstate = sqlstate


def postgres(said, sqlstate=None, *, lost=False):
    return OperationalError("statement", {}, Psycopg(said, sqlstate), connection_invalidated=lost)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (sqlite(sqlite3.SQLITE_FULL), True),
        (sqlite(sqlite3.SQLITE_BUSY), True),
        (sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), True),
        (sqlite(sqlite3.SQLITE_IOERR_WRITE), True),
        (sqlite(sqlite3.SQLITE_IOERR_FSYNC), True),
        (sqlite(sqlite3.SQLITE_CORRUPT), False),
        (sqlite(sqlite3.SQLITE_NOTADB), False),
        (sqlite(sqlite3.SQLITE_READONLY), False),
        (sqlite(sqlite3.SQLITE_ERROR), False),
        (postgres("connection failed: Connection refused"), True),
        (postgres("connection failed: FATAL:  the database system is starting up"), True),
        (postgres("connection failed: FATAL:  the database system is not yet accepting connections"), True),
        (postgres("connection failed: server closed the connection unexpectedly"), True),
        (postgres("connection timeout expired"), True),
        (postgres("the connection is lost", lost=True), True),
        (postgres("terminating connection due to administrator command", "57P01"), True),
        (postgres("could not extend file: No space left on device", "53100"), True),
        (postgres("sorry, too many clients already", "53300"), True),
        (postgres('connection failed: FATAL:  password authentication failed for user "anna"'), False),
        (postgres('connection failed: FATAL:  database "x" does not exist'), False),
        (postgres("connection failed: FATAL:  no pg_hba.conf entry for host"), False),
        (ProgrammingError("statement", {}, Psycopg('relation "journal" does not exist', "42P01")), False),
        (IntegrityError("statement", {}, Psycopg("duplicate key", "23505")), False),
    ],
)
def test_what_waiting_may_mend(error, away):
    assert is_away(error) is away
