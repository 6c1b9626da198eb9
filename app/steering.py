"""What the explorer asks of a study: the one thing it writes, and only for a session that was let in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

import streamlit as st

from app import reading
from app.gate import Gate
from tuner.errors import UserMistake
from tuner.records import Command
from tuner.store import open_store
from tuner.store.steering import steer
from tuner.tokens import TOKEN, checked

LONGEST_NAME: Final = 60
_PASS: Final = "pass of the page Control"  # noqa: S105 (the name under which a session keeps it)


@st.cache_resource(show_spinner=False)
def gate() -> Gate | None:
    """The server's gate; None if it was started without a token. Raises UserMistake for a token that will not do."""
    token = os.environ.get(TOKEN, "").strip()
    return Gate(checked(token, f"the token in {TOKEN}")) if token else None


def let_in() -> bool:
    """Whether this session was."""
    there = gate()
    return there is not None and there.knows(st.session_state.get(_PASS))


def enter(token: str) -> None:
    """Let this session in. Raises UserMistake if the token is wrong."""
    there = gate()
    if there is not None:
        st.session_state[_PASS] = there.admit(token)


def leave() -> None:
    """Have this session give the token again."""
    st.session_state.pop(_PASS, None)


def ask(study: str, who: str, commands: Sequence[Command]) -> list[int]:
    """Post the commands, all or none, signed "WHO (explorer)"; their numbers.

    Raises UserMistake if this session was not let in, `who` is no name, or a command is in vain. The connection that
    can write is open for this alone.
    """
    if not let_in():
        raise UserMistake("this session may only read", hint="Give the token first, on the page Control.")
    signed = f"{_name(who)} (explorer)"
    with closing(open_store(reading.url(), create=False)) as store:
        return steer(store, study, *(replace(command, author=signed) for command in commands))


def _name(who: str) -> str:
    name = " ".join(who.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UserMistake(
            f"a name is 1 to {LONGEST_NAME} characters that can be printed, got {name[:LONGEST_NAME]!r}",
            hint="It is recorded with what you ask.",
        )
    return name
