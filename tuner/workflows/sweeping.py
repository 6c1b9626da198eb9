"""Checkpoint files that nothing refers to: written by a process that was killed before their report was committed, or
due to go when the driver was killed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_OURS = re.compile(r"\d+/(\d{9}-\d{3,}\.ckpt|\.\d{9}-\d{3,}\.ckpt\.\d+\.[0-9a-f]+\.tmp)")
"""A checkpoint in a trial's folder, and one that is being written. Whatever else is there is the user's."""


def left_over(names: Iterable[str], kept: Collection[str]) -> list[str]:
    """Of the `names` of a study's files those of checkpoints that are not `kept`."""
    return [name for name in names if _OURS.fullmatch(name) and name not in kept]
