"""The person at this machine: where their studies are kept, and what they are called."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from tuner.errors import UserMistake


def home() -> Path:
    """$TUNER_HOME, or ./runs: the folder of the store and of the studies' files, where nothing else is said."""
    return expanded(os.environ.get("TUNER_HOME") or "runs")


def expanded(path: str) -> Path:
    """The path, with a leading ~ or ~somebody as that person's home. Raises UserMistake if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserMistake(f"{path!r} begins with a home folder that is not known", hint="Write it out.") from None


def author() -> str:
    """Who gives a command: the user's name, or the number of a user without one, as in some containers."""
    try:
        return getpass.getuser()  # $LOGNAME and $USER first
    except (KeyError, OSError, ImportError):
        return str(os.getuid())
