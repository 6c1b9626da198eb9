"""The token with which a person steers from the explorer: where it is said, and what it must be like."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tuner.errors import UserMistake

TOKEN: Final = "TUNER_APP_TOKEN"  # noqa: S105 (a variable's name)
"""The environment variable in which the explorer is told its token. A command line would show it to every user."""

SHORTEST: Final = 16
"""Characters: what nobody guesses."""

FRESH: Final = 'python -c "import secrets; print(secrets.token_urlsafe(24))"'
"""Prints a good one."""


def token_of(file: str | None) -> str:
    """The token in the file, if one is named, or in the environment; "" if there is none. Raises UserMistake, which
    never shows a token, if it will not do.
    """
    if file is None:
        given = os.environ.get(TOKEN, "").strip()
        return checked(given, f"the token in {TOKEN}") if given else ""
    try:
        given = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no text"
        raise UserMistake(f"the token cannot be read from {file}: {why}", hint=f"Make one: {FRESH} > FILE") from None
    return checked(given, f"the token in {file}")


def checked(token: str, what: str) -> str:
    """The token. Raises UserMistake if it is too short, or not one word; `what` says in the message where it is."""
    if len(token) < SHORTEST:
        raise UserMistake(
            f"{what} has {len(token)} characters, and needs at least {SHORTEST}", hint=f"Make one: {FRESH}"
        )
    if not token.isprintable() or any(letter.isspace() for letter in token):
        raise UserMistake(f"{what} must be one line of letters, digits and signs", hint=f"Make one: {FRESH}")
    return token


def readable_by_others(file: str) -> bool:
    """Whether other users of this machine can read the file."""
    return bool(Path(file).expanduser().stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
