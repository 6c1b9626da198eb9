"""Waiting for something that is away, and saying so."""

from __future__ import annotations

import logging
import time
from typing import final

from tuner.errors import RunFailed

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
PATIENCE_SECONDS = 12 * 3600.0

_log = logging.getLogger("tuner")


@final
class Wait:
    """One wait: it is over when what was away has answered."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._pause = FIRST_PAUSE
        self._since: float | None = None

    def for_it(self, why: str) -> None:
        """Pause, longer each time. Says `why` the first time. Raises RunFailed when patience is at its end."""
        if self._since is None:
            self._since = time.monotonic()
            _log.warning("waiting for %s since %s: %s", self._what, time.strftime("%H:%M:%S"), why)
        if time.monotonic() - self._since > PATIENCE_SECONDS:
            raise RunFailed(
                f"{self._what} was away for {PATIENCE_SECONDS / 3600:g} hours: {why}",
                hint="What was committed is safe. Go on with `tune resume` when it is back.",
            )
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def over(self) -> None:
        """What was away is back, if it was away at all."""
        if self._since is not None:
            _log.warning("waited %.0f s for %s", time.monotonic() - self._since, self._what)
