"""Trials as a person names them: "3, 7, 12-15, best 5"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from tuner.analysis.leaderboard import leaderboard
from tuner.records import TrialSummary
from tuner.spec import Metric

FORMS = "3, 7, 12-15, best 5, latest 5, rungs"
"""What may be written."""

_PART = re.compile(
    r"(?P<word>best|latest)(?P<n>\d{1,9})?|(?P<rungs>rungs)|(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?", re.IGNORECASE
)
_INNER_SPACE = re.compile(r"(?<=t)\s+(?=\d)|\s*-\s*", re.IGNORECASE)


@final
@dataclass(frozen=True, slots=True)
class Picks:
    """The `numbers` of the trials that were named, each once and in order, and the parts of the text that name none."""

    numbers: tuple[int, ...]
    unknown: tuple[str, ...] = ()


def picked(text: str, trials: Sequence[TrialSummary], metric: Metric) -> Picks:
    """The trials that a text names, its parts parted by commas, semicolons or spaces.

    A number is a trial; `12-15` is four; `best n` are the n best (`tuner.analysis.leaderboard`), `latest n` those of
    the n highest numbers, 1 where n is left out; `rungs` is the best of the trials that stand at each resource, the
    highest resource first.
    """
    numbers: dict[int, None] = {}
    unknown: list[str] = []
    joined = _INNER_SPACE.sub(lambda space: "-" if "-" in space[0] else "", text)
    for part in filter(None, re.split(r"[,;\s]+", joined)):
        read = _PART.fullmatch(part)
        named = list(_named(read, trials, metric)) if read else []
        numbers |= dict.fromkeys(named)
        if not named:
            unknown.append(part)
    return Picks(tuple(numbers), tuple(unknown))


def _named(part: re.Match[str], trials: Sequence[TrialSummary], metric: Metric) -> Iterator[int]:
    n = int(part["n"] or 1)
    if part["rungs"]:
        stand: dict[int, int] = {}
        for trial in leaderboard(trials, metric):
            stand.setdefault(trial.resource, trial.number)
        yield from stand.values()
    elif part["word"]:
        best = part["word"].lower() == "best"
        yield from (trial.number for trial in (leaderboard(trials, metric) if best else trials[::-1])[:n])
    else:
        first = int(part["first"])
        yield from range(first, min(int(part["last"] or first), len(trials) - 1) + 1)
