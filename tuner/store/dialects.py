"""What differs between the databases: SQLite's ways, and the statements that go around SQLAlchemy's common ones."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, final

from sqlalchemy import URL, Connection, Dialect, Engine, FromClause, Index, Select, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.sql.dml import Insert

BUSY_SECONDS = 30.0
"""How long a writer of SQLite waits for another one's commit."""

ERRORS: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error)
"""What a database's errors are. Those that come while a connection is set up, SQLAlchemy does not wrap."""

CONNECT_SECONDS = 10
"""How long a server may take to answer, unless the URL's connect_timeout says otherwise; without, it may be minutes."""

_SCHEMA_LOCK = 0x74756E6572  # "tuner"

WAL_PAGES = 8_000
"""Pages of 4 KiB that SQLite's log may hold before it is copied into the file: SQLite's own 1,000 cost up to a third of
the rate of writing, most of all while somebody reads."""

_HINTS = {
    "file is not a database": "The file is damaged, or is not a store. Name another one, or bring back a copy.",
    "malformed": "The file is damaged. Bring back a copy, or save what can be read with `sqlite3 FILE .recover`.",
    "readonly": "Allow writing to the file and to its folder (SQLite writes beside the file too), or name another one.",
    "unable to open": "Look at the path, and at the permissions of the file and its folder.",
    "locked": "Another process keeps writing to it. Wait, or end that process.",
    "Connection refused": "Start the server, or look at the URL's host and port.",
    "failed to resolve host": "Look at the URL's host.",
    "timeout expired": "Look at the URL's host and port, and at what lies between here and the server.",
    "password authentication failed": "Look at the URL's user and password; PGPASSWORD and ~/.pgpass can hold it too.",
    "no password supplied": "Name it in the URL, in PGPASSWORD, or in ~/.pgpass.",
    "permission denied": "Let the database's owner grant the URL's user what is missing, or name another store.",
    "the connection is lost": "The server ended it. What was committed before is safe; try again.",
    "terminating connection": "The server ended it. What was committed before is safe; try again.",
    "closed the connection": "The server ended it. What was committed before is safe; try again.",
    "disk is full": "Make room; what was committed before is safe.",
}


_AWAY_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR}
"""SQLite's primary result codes: no room, another process keeps writing, the disk or a network folder is away."""

_AWAY_STATES = ("08", "53", "57P01", "57P02", "57P03")
"""How PostgreSQL's states begin: connection lost, no room or no more connections, shutting down, crashed, starting."""

_REFUSALS = (
    "authentication failed",
    "no password",
    "does not exist",
    "pg_hba",
    "permission denied",
    "SSL",
    "certificate",
)
"""What is said where a server is there and will not have us. No connection otherwise: it is away."""


def is_away(error: Exception) -> bool:
    """Whether a database's error is one that waiting may mend: all others will be the same next time."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    original = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _AWAY_CODES
    state = getattr(original, "sqlstate", None)
    if state:
        return bool(state.startswith(_AWAY_STATES))
    return isinstance(error, OperationalError) and not any(sign in str(original) for sign in _REFUSALS)


def hint(message: str) -> str | None:
    """What to do about a database's error, if we know."""
    if 'database "' in message and "does not exist" in message:
        return "Make it with `createdb`, or name one that is there."
    return next((hint for sign, hint in _HINTS.items() if sign in message), None)


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite URL; None for a server's."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def without_password(url: URL) -> str:
    """Its text, for anybody to see."""
    secret = [name for name in url.query if "password" in name]  # PostgreSQL takes ?password= too
    return url.difference_update_query(secret).render_as_string(hide_password=True)


def make_file(path: Path) -> None:
    """Make an empty file for the user alone, and its folders where missing. Raises OSError."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def by_index(statement: Select[Any], index: Index) -> Select[Any]:
    """The statement, using that index on SQLite, which else walks through all of a study's events to find a trial's."""
    assert index.table is not None
    return statement.with_hint(index.table, f"INDEXED BY {index.name}", "sqlite")


@final
class _HintingCompiler(SQLiteCompiler):
    """SQLAlchemy's own, which leaves hints out on SQLite."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002 (the base class's)
        return text


def make_engine(url: URL, *, read_only: bool = False) -> Engine:
    """An engine whose connections begin transactions as the rest of tuner.store expects.

    On SQLite a reader's transaction sees one snapshot, and a writer's takes the write lock at its start: it would else
    read, and then fail to write because of what was written since. With `read_only` the database itself refuses each
    statement that writes.
    """
    if url.get_backend_name() != "sqlite":
        # Pinged before each transaction, for a server that was started anew has ended all connections.
        engine = create_engine(_by_psycopg(url), pool_pre_ping=True)
        if read_only:
            event.listen(engine, "connect", _read_only)
        return engine
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    engine.dialect.statement_compiler = _HintingCompiler
    event.listen(engine, "connect", _on_connect)
    if read_only:
        event.listen(engine, "connect", _query_only)
    event.listen(engine, "begin", _on_begin)
    return engine


def _by_psycopg(url: URL) -> URL:
    """The URL with the driver that postgresql:// means here, whatever it means to this SQLAlchemy, and a time limit."""
    if "connect_timeout" not in url.query and "PGCONNECT_TIMEOUT" not in os.environ:
        url = url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
    return url.set(drivername="postgresql+psycopg")


def transaction(dialect: str, *, writes: bool) -> dict[str, Any]:
    """The options of a connection whose next transaction reads alone, or writes.

    On PostgreSQL a reader's sees one snapshot too; a writer's sees what was committed when it got a row's lock.
    """
    snapshot = dialect == "postgresql" and not writes
    return {"writes": writes} | ({"isolation_level": "REPEATABLE READ"} if snapshot else {})


def lock_schema(connection: Connection) -> None:
    """Let no other process change the tables until the end of the transaction. SQLite's writers are alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")


def log_ahead(engine: Engine) -> None:
    """Let SQLite write into a log beside the file, so that readers and a writer do not wait for each other.

    The file remembers it, so this is for stores only, not for whatever file is looked at.
    """
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = WAL").close()


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """INSERT of rows whose keys are all of the table's columns, in order, with values that need no conversion.

    SQLAlchemy's own way walks through each row's columns, which is a quarter of what a report costs.
    """
    statement, positional = _insert(table, connection.dialect)
    parameters: Any = [tuple(row.values()) for row in rows] if positional else rows
    connection.exec_driver_sql(statement, parameters)


@cache
def _insert(table: Table, dialect: Dialect) -> tuple[str, bool]:
    compiled = table.insert().compile(dialect=dialect)
    return str(compiled), compiled.positional


def upsert(dialect: str, table: Table) -> Insert:
    """INSERT that replaces the row with the same primary key."""
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table)
    replaced = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    result: Insert = statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=replaced)
    return result


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own: _on_begin does
    log = f"wal_autocheckpoint = {WAL_PAGES}"
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON", log):
        connection.execute(f"PRAGMA {pragma}").close()


def _query_only(connection: sqlite3.Connection, _record: object) -> None:
    # Not a URI with mode=ro: the last connection to close would leave the log behind, beside the file.
    connection.execute("PRAGMA query_only = ON").close()


def _read_only(connection: Any, _record: object) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    connection.commit()


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
