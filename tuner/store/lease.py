"""The writer's lease: one writer a study, a dead one's is free at once, and a late one is fenced off.

A lease is a token in the study's row. Each statement of a writer names its token, so that a writer whose lease was
taken over changes nothing.
"""

from __future__ import annotations

import time
import uuid
from functools import cache
from typing import Any

from sqlalchemy import Connection, RowMapping, Update, bindparam, update

from tuner.errors import StudyHeld
from tuner.store._base import Holder, StudyState
from tuner.store.processes import is_gone, this_process
from tuner.store.rows import holder, holder_columns
from tuner.store.tables import studies

LEASE_SECONDS = 60.0
"""A lease of another host is free after so long without a heartbeat."""

HEARTBEAT_SECONDS = 10.0
"""How often a writer says that it lives."""


def live_holder(row: RowMapping, now: float) -> Holder | None:
    """Who writes the study of the row; None if nobody does any more."""
    found = holder(row)
    if found is None:
        return None
    gone = is_gone(found)
    if gone is None:
        gone = now - row["heartbeat"] >= LEASE_SECONDS
    return None if gone else found


def state(row: RowMapping, now: float) -> StudyState:
    """Where the study of the row stands: the last word of its journal, else whether somebody writes it."""
    if row["ended"]:
        return StudyState(row["ended"])
    return StudyState.UNFINISHED if live_holder(row, now) is None else StudyState.RUNNING


def take(connection: Connection, row: RowMapping, now: float) -> str:
    """Take the lease of the study of the row; its token. Raises StudyHeld if a live process has it."""
    refuse_if_held(row, now)
    token = uuid.uuid4().hex
    lease = {**holder_columns(this_process()), "token": token, "since": now, "heartbeat": now}
    # The old token is named, so that of two that found the same dead holder only one comes next.
    same = (studies.c.id == row["id"]) & (studies.c.token == row["token"])
    if connection.execute(update(studies).where(same).values(lease)).rowcount != 1:
        raise StudyHeld(f"study {row['name']!r} was just taken by another process", hint="Look with `tune list`.")
    return token


def keep(connection: Connection, study: int, token: str, name: str, changes: dict[str, Any]) -> None:
    """Change columns of the study's row, as the holder of the token. Raises StudyHeld if the lease was lost."""
    if connection.execute(_change(tuple(changes)), {**changes, "mine": study, "my_token": token}).rowcount != 1:
        raise StudyHeld(
            f"this process writes study {name!r} no more: its lease ran out and was taken over, or it was given back",
            hint="What was committed before is safe. Go on with `tune resume` when nobody else writes the study.",
        )


@cache
def _change(columns: tuple[str, ...]) -> Update:
    # Built once for each set of columns: building it costs as much as running it.
    mine = (studies.c.id == bindparam("mine")) & (studies.c.token == bindparam("my_token"))
    return update(studies).where(mine).values({name: bindparam(name) for name in columns})


def give_back(connection: Connection, study: int, token: str) -> None:
    """Give the lease back; nothing happens if it is not ours any more."""
    mine = (studies.c.id == study) & (studies.c.token == token)
    connection.execute(update(studies).where(mine).values(token=""))


def refuse_if_held(row: RowMapping, now: float) -> None:
    """Raises StudyHeld, naming the holder, if a live process writes the study of the row."""
    found = live_holder(row, now)
    if found is None:
        return
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["since"]))
    if is_gone(found) is None:
        remedy = f"If it is dead, the study is free {LEASE_SECONDS:.0f} s after its last heartbeat"
        remedy += f" ({max(0.0, now - row['heartbeat']):.0f} s ago)."
    else:
        remedy = "As soon as that process is over, the study is free."
    raise StudyHeld(
        f"study {row['name']!r} is being written by process {found.pid} on host {found.host}, since {since}",
        hint=f"Wait for it, or interrupt it (Ctrl-C saves the study). {remedy}",
    )
