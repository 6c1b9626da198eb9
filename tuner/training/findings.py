"""What a check found: the shape that pre-flight and leakage checks share. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended. A WRONG one should be mended before a study is run."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was asked, how it ended, the evidence in a sentence with its numbers, and the remedy."""

    check: str
    verdict: Verdict
    evidence: str
    remedy: str = ""
