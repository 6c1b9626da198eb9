"""All studies at a glance, in two queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, select

from tuner.errors import StoreError
from tuner.records import TrialState
from tuner.spec import StudySpec
from tuner.store import lease, rows
from tuner.store._base import StudyOutline
from tuner.store.tables import studies, trials

_Trial = tuple[str, int, int, float | None]
"""State, number, resource, value."""


def read_outlines(connection: Connection, now: float) -> list[StudyOutline]:
    """The outlines of all studies, the most recently updated first; what cannot be read is told in its study's own."""
    newest_first = select(studies).order_by(studies.c.updated.desc(), studies.c.id.desc())
    found = connection.execute(newest_first).mappings().all()
    columns = (trials.c.study, trials.c.state, trials.c.number, trials.c.resource, trials.c.value)
    theirs: dict[int, list[_Trial]] = {row["id"]: [] for row in found}
    for study, state, number, resource, value in connection.execute(
        select(*columns).order_by(trials.c.study, trials.c.number)
    ):
        theirs[study].append((state, number, resource, value))
    return [_outline(row, theirs[row["id"]], now) for row in found]


def _counts(study: str, its_trials: Sequence[_Trial]) -> dict[TrialState, int]:
    with rows.damage_told(f"the trials of study {study!r}"):
        counts = Counter(state for state, *_ in its_trials)
        return {TrialState(state): count for state, count in counts.items()}


def _outline(row: RowMapping, its_trials: Sequence[_Trial], now: float) -> StudyOutline:
    spec: StudySpec | None = None
    counts: dict[TrialState, int] = {}
    errors = []
    try:
        spec = rows.stored_spec(row)
    except StoreError as error:
        errors.append(error.message)
    try:
        counts = _counts(row["name"], its_trials)
    except StoreError as error:
        errors.append(error.message)
    return StudyOutline(
        name=row["name"],
        spec=spec,
        error="; ".join(errors),
        state=lease.state(row, now),
        reason=row["reason"],
        created=row["created"],
        updated=row["updated"],
        events=row["events"],
        commands=row["commands"],
        holder=lease.live_holder(row, now),
        counts=counts,
        values=tuple((number, resource, value) for _, number, resource, value in its_trials if value is not None),
    )
