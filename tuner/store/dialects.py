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
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.dml import Insert

BUSY_SECONDS = 30.0
"""How long a writer of SQLite waits for another one's commit."""

ERRORS: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error)
"""What a database's errors are. Those that come while a connection is set up, SQLAlchemy does not wrap."""

WAL_PAGES = 8_000
"""Pages of 4 KiB that SQLite's log may hold before it is copied into the file: SQLite's own 1,000 cost up to a third of
the rate of writing, most of all while somebody reads."""

_HINTS = {
    "file is not a database": "The file is damaged, or is not a store. Name another one, or bring back a copy.",
    "malformed": "The file is damaged. Bring back a copy, or save what can be read with `sqlite3 FILE .recover`.",
    "readonly": "Allow writing to the file and to its folder (SQLite writes beside the file too), or name another one.",
    "unable to open": "Look at the path, and at the permissions of the file and its folder.",
    "locked": "Another process keeps writing to it. Wait, or end that process.",
    "disk is full": "Make room; what was committed before is safe.",
}


def hint(message: str) -> str | None:
    """What to do about a database's error, if we know."""
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
        engine = create_engine(url)
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
