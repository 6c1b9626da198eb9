"""The schema's versions, and how a store of an older one becomes the newest.

A change of the tables adds a function to `MIGRATIONS`, and a database of the version before it, made by its generator,
to tests/golden/.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from sqlalchemy import Connection, insert, inspect, select, update

from tuner.errors import StoreError, StudyHeld
from tuner.store import lease, rows
from tuner.store.packing import packed
from tuner.store.tables import (
    EVENTS_BUT_REPORTS,
    METADATA,
    comparisons,
    details,
    journal,
    report_values,
    runs,
    schema,
    studies,
)

_PAGE = 2_000
"""How many reports are packed into one row of an older store's values."""


def _reports_with_details(connection: Connection) -> None:
    # As long as no later version changes this table; one that does writes out here what it was.
    details.create(connection)


def _comparisons(connection: Connection) -> None:
    comparisons.create(connection)
    runs.create(connection)


def _values(connection: Connection) -> None:
    EVENTS_BUT_REPORTS.create(connection)
    report_values.create(connection)
    for study, spec in connection.execute(select(studies.c.id, studies.c.spec)).all():
        metric = rows.metric_name(spec)
        after = 0
        while after := _pack_page(connection, study, metric, after):
            pass


def _pack_page(connection: Connection, study: int, metric: str, after: int) -> int:
    """Pack the values of the study's next reports; the number of the last of them, 0 where there are none left."""
    mine = (journal.c.study == study) & (journal.c.number > after) & (journal.c.kind == "reported")
    columns = select(journal.c.number, journal.c.time, journal.c.body)
    page = connection.execute(columns.where(mine).order_by(journal.c.number).limit(_PAGE)).all()
    if not page:
        return 0
    records = []
    for number, recorded, body in page:
        with suppress(ValueError, AssertionError):  # a damaged report is told to those who read it
            records.append(packed(number, recorded, rows.report(body), metric))
    last: int = page[-1][0]
    connection.execute(insert(report_values).values(study=study, number=last, records=b"".join(records)))
    return last


MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {2: _reports_with_details, 3: _comparisons, 4: _values}
"""Version -> what makes it of the version before. Version 1 was the first and needs none."""

READABLE = 1
"""The oldest version that can be read as it is, so that looking at a store changes nothing."""

DETAILS_SINCE = 2
COMPARISONS_SINCE = 3
VALUES_SINCE = 4


def newest() -> int:
    """The version that this program writes."""
    return max(MIGRATIONS, default=1)


def is_readable(version: int) -> bool:
    """Whether a store of that version can be read without being migrated."""
    return READABLE <= version <= newest()


def migrate(connection: Connection, place: str) -> None:
    """Bring the store to the newest version, within the transaction that `connection` is in.

    An empty database gets all tables. Raises StoreError for a database of something else, or of a newer version;
    `place` names it there.
    """
    version = known_version(connection, place)
    if version is None:
        METADATA.create_all(connection)
        connection.execute(insert(schema).values(version=newest()))
        return
    if version < newest():
        _refuse_if_written(connection, place)
    for number in range(version + 1, newest() + 1):
        MIGRATIONS[number](connection)
    if version < newest():
        connection.execute(update(schema).values(version=newest()))


def known_version(connection: Connection, place: str) -> int | None:
    """The version of the store that `connection` leads to; None where there is no store yet. Writes nothing.

    Raises StoreError for a database of something else, or of a newer version; `place` names it there.
    """
    present = set(inspect(connection).get_table_names())
    if schema.name not in present:
        _refuse_foreign(connection, present, place)
        return None
    version = stored_version(connection)
    if version > newest():
        raise StoreError(
            f"{place} was written by a newer version of tuner (schema {version}; this one knows up to {newest()})",
            hint="Upgrade tuner, or name another store.",
        )
    return version


def stored_version(connection: Connection) -> int:
    """The version that the table of versions has."""
    return int(connection.execute(select(schema.c.version)).scalar_one())


def _refuse_foreign(connection: Connection, present: set[str], place: str) -> None:
    # A server's database may be shared with others; a file may not.
    foreign = present if connection.dialect.name == "sqlite" else present & set(METADATA.tables)
    if foreign:
        raise StoreError(
            f"{place} is a database of something else: it has the tables {', '.join(sorted(foreign)[:5])}",
            hint="Name another store.",
        )


def _refuse_if_written(connection: Connection, place: str) -> None:
    """A writer of the older version would go on in the old way, and what it wrote be missing from the new tables."""
    for row in connection.execute(select(studies)).mappings():
        try:
            lease.refuse_if_held(row, time.time())
        except StudyHeld as held:
            raise StudyHeld(f"{place} has to be brought up to date, but {held.message}", hint=held.hint) from None
