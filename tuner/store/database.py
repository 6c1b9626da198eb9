"""A database that is opened once, migrated, and then asked in transactions whose errors a person can read."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from tuner.errors import StoreError
from tuner.store.dialects import ERRORS, hint, make_engine, make_file, sqlite_file
from tuner.store.migrations import migrate, newest, stored_version


@final
class Database:
    """Transactions on the database of a URL, brought to the newest schema version before the first.

    With `create` it is made if it is missing; else it may be `absent`, until somebody makes it.
    """

    def __init__(self, url: URL, *, create: bool) -> None:
        self.place = f"the store {url.render_as_string(hide_password=True)}"
        self.file = sqlite_file(url)
        if self.file is not None:
            self.place = f"the store {self.file}"
        self._create = create
        self._ready = False
        try:
            self._engine = make_engine(url)
        except ImportError as error:
            raise StoreError(
                f"{self.place} needs the package {error.name!r}", hint='Install it: pip install "psycopg[binary]".'
            ) from None
        _forget_in_children(self._engine)
        if create:
            self._prepare()

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    def absent(self) -> bool:
        """Whether there is no database (yet)."""
        return not self._create and self.file is not None and not self.file.exists()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. Raises StoreError."""
        self._prepare()
        with self._begin(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, or leaves nothing behind. Raises StoreError."""
        self._prepare()
        with self._begin(writes=True) as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _prepare(self) -> None:
        if self._ready:
            return
        if self.file is not None and self._create:
            try:
                make_file(self.file)
            except OSError as error:
                raise StoreError(
                    f"{self.place} cannot be made: {error.strerror}", hint="Name another place for the store."
                ) from None
        if not self._is_current():
            with self._begin(writes=True) as connection:
                migrate(connection, self.place)
        self._ready = True

    def _is_current(self) -> bool:
        # Asked without the write lock, so that opening a store waits for no writer.
        with self._begin(writes=False) as connection:
            if not self._engine.dialect.has_table(connection, "schema"):
                return False
            return stored_version(connection) == newest()

    @contextmanager
    def _begin(self, *, writes: bool) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(writes=writes)
                with connection.begin():
                    yield connection
        except ERRORS as error:
            message = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            raise StoreError(f"{self.place} cannot be used: {message.strip()}", hint=hint(message)) from None


def _forget_in_children(engine: Engine) -> None:
    """A forked process opens connections of its own: SQLite's and PostgreSQL's break when two processes share one."""
    reference = weakref.ref(engine)

    def forget() -> None:
        if (inherited := reference()) is not None:
            inherited.dispose(close=False)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
