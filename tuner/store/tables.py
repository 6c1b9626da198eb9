"""The tables, as of the newest schema version. tuner.store.migrations says how older ones become these."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, final

from sqlalchemy import (
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
)


@final
class Number(TypeDecorator[float]):
    """A float of any value. SQLite turns NaN into NULL, so NaN is kept there as text."""

    impl = Double
    cache_ok = True

    # The processor itself, not process_bind_param: what that returns, the base type makes a float again.
    def bind_processor(self, dialect: Dialect) -> Callable[[float | None], Any]:
        as_text = dialect.name == "sqlite"
        return lambda value: "NaN" if as_text and value is not None and math.isnan(value) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:  # noqa: ARG002 (the base class's)
        return None if value is None else float(value)


def _study() -> Column[int]:
    return Column("study", Integer, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)


def _number() -> Column[int]:
    return Column("number", Integer, primary_key=True, autoincrement=False)


METADATA = MetaData()

schema = Table("schema", METADATA, Column("version", Integer, nullable=False))

studies = Table(
    "studies",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("spec", Text, nullable=False),  # StudySpec.to_dict() as JSON
    Column("digest", String(64), nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("events", Integer, nullable=False, default=0),  # the number of the last one
    Column("commands", Integer, nullable=False, default=0),
    # The last word of the journal: "" while there is something left to do, else "finished" or "failed".
    Column("ended", String(16), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    # The writer's lease. An empty token: nobody has it.
    Column("token", String(32), nullable=False, default=""),
    Column("host", Text, nullable=False, default=""),
    Column("boot", Text, nullable=False, default=""),
    Column("pid", Integer, nullable=False, default=0),
    Column("started", Double, nullable=False, default=0.0),
    Column("since", Double, nullable=False, default=0.0),
    Column("heartbeat", Double, nullable=False, default=0.0),
    # Numbers are never used again: a writer of a deleted study must not find another one in its place.
    sqlite_autoincrement=True,
)

journal = Table(
    "journal",
    METADATA,
    _study(),
    _number(),
    Column("time", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("trial", Integer),
    Column("resource", Integer),
    Column("body", Text, nullable=False),  # tuner.records.encode_event
    sqlite_with_rowid=False,
)

EVENTS_BY_TRIAL = Index("journal_by_trial", journal.c.study, journal.c.trial, journal.c.number)

BUT_REPORTS = journal.c.kind != literal_column("'reported'")

EVENTS_BUT_REPORTS = Index(
    "journal_but_reports",
    journal.c.study,
    journal.c.number,
    journal.c.kind,
    sqlite_where=BUT_REPORTS,
    postgresql_where=BUT_REPORTS,
)

report_values = Table(
    "report_values",
    METADATA,
    _study(),
    _number(),  # that of the last of the reports, which were committed together
    Column("records", LargeBinary, nullable=False),  # tuner.store.packing
)

details = Table(
    "details",
    METADATA,
    _study(),
    _number(),  # that of the report's event
    Column("trial", Integer, nullable=False),
    Column("resource", Integer, nullable=False),
    Column("segment", Integer, nullable=False),
    Column("curves", Text, nullable=False),  # JSON: name -> numbers
    Column("events", Text, nullable=False),  # JSON: sentences
    Index("details_by_trial", "study", "trial", "number"),
)

trials = Table(
    "trials",
    METADATA,
    _study(),
    _number(),
    Column("state", String(16), nullable=False),
    Column("config", Text, nullable=False),  # JSON, as are metrics and failure
    Column("resource", Integer, nullable=False),
    Column("horizon", Integer, nullable=False),
    Column("value", Number),
    Column("best_value", Number),
    Column("best_resource", Integer),
    Column("gap", Number),
    Column("segments", Integer, nullable=False),
    Column("seconds", Number, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("failure", Text),
    Column("reason", Text, nullable=False),
)

commands = Table(
    "commands",
    METADATA,
    _study(),
    _number(),
    Column("time", Double, nullable=False),
    Column("body", Text, nullable=False),  # a Commanded event
)

comparisons = Table(
    "comparisons",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("spec", Text, nullable=False),  # StudySpec.to_dict() as JSON
    Column("methods", Text, nullable=False),  # JSON: a list of names
    Column("repeats", Integer, nullable=False),
    Column("replay", Text),  # JSON of a Replay; NULL where the runs train
    Column("created", Double, nullable=False),
)

runs = Table(
    "runs",
    METADATA,
    _study(),
    Column("comparison", Integer, ForeignKey("comparisons.id", ondelete="CASCADE"), nullable=False),
    Column("method", String(100), nullable=False),
    Column("repeat", Integer, nullable=False),
    UniqueConstraint("comparison", "method", "repeat"),
)
