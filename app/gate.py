"""The gate before the page Control: who knows the server's token may pass."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final, final

from tuner.errors import UserMistake

FREE: Final = 3
"""So many wrong tokens in a row are nothing; from then on each makes everybody wait, twice as long as the last."""
LONGEST: Final = 60.0
FORGIVEN: Final = 600.0
"""Seconds without a wrong token after which those before are forgotten."""


@final
class Gate:
    """One for a server, whose sessions come here from threads of their own. It keeps no token: only its digest.

    A session that was let in keeps a pass, which is worth nothing elsewhere or after the server has ended.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._digest = _digest(token)
        self._pass = secrets.token_bytes(32)
        self._clock = clock
        self._lock = threading.Lock()
        self._n_wrong = 0
        self._wrong_at = -math.inf

    def admit(self, given: str) -> bytes:
        """The pass, for who gives the token. Raises UserMistake if it is wrong, or comes too soon after wrong ones."""
        with self._lock:
            now = self._clock()
            if now - self._wrong_at >= FORGIVEN:
                self._n_wrong = 0
            left = self._wrong_at + self._wait() - now
            if left > 0:
                raise UserMistake(
                    f"too many wrong tokens: this one was not looked at; try again in {math.ceil(left)} s"
                )
            if not hmac.compare_digest(_digest(given), self._digest):
                self._n_wrong, self._wrong_at = self._n_wrong + 1, now
                raise UserMistake("that is not the token of this server")
            self._n_wrong = 0
            return self._pass

    def knows(self, shown: object) -> bool:
        """Whether this is the pass."""
        return isinstance(shown, bytes) and hmac.compare_digest(shown, self._pass)

    def _wait(self) -> float:
        return 0.0 if self._n_wrong < FREE else min(2.0 ** (self._n_wrong - FREE), LONGEST)


def _digest(token: str) -> bytes:
    """Of one length, so that a comparison does not tell a token's."""
    return hashlib.sha256(token.strip().encode("utf-8", "surrogatepass")).digest()
