"""From a URL or a path to a store."""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from tuner.errors import StoreError
from tuner.home import expanded, home
from tuner.store.database import Database
from tuner.store.dialects import without_password
from tuner.store.sql_store import Clock, SqlStore

_ALLOWED = "A store is a file's path, sqlite:///PATH, or postgresql://USER:PASSWORD@HOST/DATABASE."


def default_store_url() -> str:
    """Where studies are kept unless something else is said: tuner.db in $TUNER_HOME, or in ./runs."""
    return f"sqlite:///{home() / 'tuner.db'}"


def shown_store(url_or_path: str | Path) -> str:
    """A store's URL or path as it may be shown: as it was given, but for a password. Raises StoreError."""
    url = _parse(url_or_path)
    return str(url_or_path) if url.get_backend_name() == "sqlite" else without_password(url)


def open_store(
    url_or_path: str | Path | None = None,
    *,
    create: bool = True,
    read_only: bool = False,
    clock: Clock = time.time,
) -> SqlStore:
    """The store at a URL or a file's path; by default at `default_store_url()`.

    It is made if it is not there, for the user alone. With `create=False`, for reading, a missing one is left missing,
    and an older one as it is until it is written to. One that is missing lists no studies, and knows none. With
    `read_only` that is so for good: what would write raises StoreError, and the database refuses it, too. Raises
    StoreError if it cannot be used: damaged, of another version, of something else, not writable. `clock` gives seconds
    since the epoch.
    """
    url = _parse(home() / "tuner.db" if url_or_path is None else url_or_path)
    return SqlStore(Database(url, create=create, read_only=read_only), clock)


def _parse(url_or_path: str | Path) -> URL:
    text = str(url_or_path)
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):  # bytes that are not UTF-8
        raise StoreError(f"a store's path must be UTF-8 without NUL bytes, got {text!r}", hint=_ALLOWED)
    if "://" not in text:
        return URL.create("sqlite", database=str(expanded(text)))
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):  # without its text, which may hold a password
        raise StoreError("the store's URL cannot be read", hint=_ALLOWED) from None
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(f"a store cannot be kept in {backend!r}", hint=_ALLOWED)
    if backend == "postgresql" and url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise StoreError(f"a store is reached through psycopg, not {url.get_driver_name()!r}", hint=_ALLOWED)
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise StoreError("a store needs a file: in memory it would be lost", hint=_ALLOWED)
    return url
