"""A database that is opened once, migrated, and then asked in transactions whose errors a person can read."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from tuner.errors import StoreAway, StoreError
from tuner.interrupts import shielded
from tuner.store.dialects import (
    ERRORS,
    hint,
    is_away,
    lock_schema,
    log_ahead,
    make_engine,
    make_file,
    sqlite_file,
    transaction,
    without_password,
)
from tuner.store.migrations import is_readable, known_version, migrate, newest


@final
class Database:
    """Transactions on the database of a URL, if it is a store.

    With `create` it is made if it is missing, and brought to the newest schema version. Else it may be `absent` until
    somebody makes it, and looking at it changes nothing, whatever it is; an older one becomes the newest when it is
    first written to. With `read_only` nothing is ever written, here or by the connections.
    """

    def __init__(self, url: URL, *, create: bool, read_only: bool = False) -> None:
        self.place = f"the store {without_password(url)}"
        self.file = sqlite_file(url)
        if self.file is not None:
            self.place = f"the store {self.file}"
        self._create = create and not read_only
        self._read_only = read_only
        self._ready = False
        self._logs_ahead = False
        try:
            self._engine = make_engine(url, read_only=read_only)
        except ImportError as error:
            raise StoreError(
                f"{self.place} needs the package {error.name or 'psycopg'!r}",
                hint='Install it: pip install "psycopg[binary]".',
            ) from None
        _forget_in_children(self._engine)
        self._end = weakref.finalize(self, self._engine.dispose)
        if self._create:
            try:
                self._prepare(writes=True)
            except BaseException:
                self.close()
                raise

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    def absent(self) -> bool:
        """Whether there is no store (yet): no file, or a database without tables. Raises StoreError."""
        if self._create:
            return False
        if self.file is not None and not self._there(self.file):
            return True
        return not self._ready and self._version() is None

    def _there(self, file: Path) -> bool:
        try:
            return file.exists()
        except OSError as error:
            raise StoreError(f"{self.place} cannot be used: {error.strerror}", hint="Look at the path.") from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. Raises StoreError."""
        self._prepare(writes=False)
        with self._begin(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, or leaves nothing behind. Raises StoreError."""
        if self._read_only:
            raise StoreError(
                f"{self.place} was opened for reading alone", hint="Open it without read_only to change something."
            )
        self._prepare(writes=True)
        self._log_ahead()
        with self._begin(writes=True) as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        with shielded():
            self._end()

    def _prepare(self, *, writes: bool) -> None:
        if self._ready:
            return
        if self.file is not None and self._create:
            try:
                make_file(self.file)
            except OSError as error:
                raise StoreError(
                    f"{self.place} cannot be made: {error.strerror}", hint="Name another place for the store."
                ) from None
        version = self._version()
        if version != newest():
            if version is None and not self._create:
                raise StoreError(f"{self.place} is not there any more")
            if not writes and version is not None:
                if is_readable(version):
                    return  # not ready: somebody may bring it up to date meanwhile
                raise self._outdated(version)
            self._log_ahead()
            with self._begin(writes=True) as connection:
                lock_schema(connection)
                migrate(connection, self.place)
        self._ready = True

    def _version(self) -> int | None:
        # Asked without the write lock, so that opening a store waits for no writer.
        with self._begin(writes=False) as connection:
            return known_version(connection, self.place)

    def _outdated(self, version: int) -> StoreError:
        return StoreError(
            f"{self.place} was written by an older version of tuner (schema {version}; this one reads {newest()})",
            hint="Bring it up to date when nothing runs on it: in Python, tuner.store.open_store(PATH).",
        )

    def _log_ahead(self) -> None:
        if not self._logs_ahead:
            with self._explained(), shielded():
                log_ahead(self._engine)
            self._logs_ahead = True

    @contextmanager
    def _begin(self, *, writes: bool) -> Iterator[Connection]:
        with self._explained(), shielded(), self._engine.connect() as connection:
            connection = connection.execution_options(**transaction(self.dialect, writes=writes))
            with connection.begin():
                yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ERRORS as error:
            message = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            kind = StoreAway if is_away(error) else StoreError
            raise kind(f"{self.place} cannot be used: {message.strip()}", hint=hint(message)) from None


def _forget_in_children(engine: Engine) -> None:
    """A forked process opens connections of its own: SQLite's and PostgreSQL's break when two processes share one."""
    reference = weakref.ref(engine)

    def forget() -> None:
        if (inherited := reference()) is not None:
            inherited.dispose(close=False)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
