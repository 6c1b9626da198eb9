"""What tests of the store run on: SQLite, and a PostgreSQL server where one answers, on databases made for the test.

The server is $TUNER_TEST_POSTGRES, the URL of a database whose user may create others, else one that answers on this
machine. Its own databases are never written to.
"""

from __future__ import annotations

import getpass
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from tuner.store.dialects import without_password

VARIABLE = "TUNER_TEST_POSTGRES"
CONNECT_SECONDS = 1
USUAL = (
    f"postgresql://{getpass.getuser()}@127.0.0.1:5432/postgres",
    "postgresql://postgres@127.0.0.1:5432/postgres",
    "postgresql:///postgres",
)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """The URL of a server on which databases can be made. Its password goes into the environment, where no failure of a
    test shows it.
    """
    given = os.environ.get(VARIABLE)
    tried = []
    for candidate in [given] if given else USUAL:
        with pytest.MonkeyPatch.context() as environment:
            url = _without_password(make_url(candidate), environment)
            if (why := _refusal(url)) is None:
                yield url
                return
            tried.append(f"{without_password(url)} ({why})")
    pytest.skip(
        f"no PostgreSQL to test on: tried {', '.join(tried)}. "
        f"Start one, or set {VARIABLE}=postgresql://USER:PASSWORD@HOST/DATABASE to one whose user may create databases"
    )


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """The URL of an empty database of this test alone."""
    name = _new_name()
    with connected(postgres_server) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield postgres_server.set(database=name).render_as_string()
    finally:
        _drop(postgres_server, name)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that is not there yet, on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs' / 'tuner.db'}"
    return request.getfixturevalue("postgres_url")


def _without_password(url: URL, environment: pytest.MonkeyPatch) -> URL:
    password = url.password or url.query.get("password")
    if password:
        environment.setenv("PGPASSWORD", str(password))
    url = url.set(drivername="postgresql+psycopg").difference_update_query(["password"])
    # Not URL.set, which leaves a password of None as it is.
    return URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)


def _refusal(server: URL) -> str | None:
    """Why no database can be made there; None if one can."""
    name = _new_name()
    try:
        with connected(server) as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        _drop(server, name)
    except SQLAlchemyError as error:
        return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return None


def _new_name() -> str:
    return f"tuner_test_{uuid.uuid4().hex}"


def _drop(server: URL, name: str) -> None:
    with connected(server) as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def connected(server: URL) -> Iterator[Connection]:
    """A connection that is in no transaction, as CREATE DATABASE needs it."""
    patient = server.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
    engine = create_engine(patient, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
