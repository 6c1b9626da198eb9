"""What every benchmark shares: turns, median and spread, the ratio to a peer, and the record of where and when.

A benchmark makes a `Record`, adds tables, targets and notes to it, and publishes it: printed, and with `--record`
written as benchmarks/records/YYYY-MM-DD-name.md (then -2, -3: none is overwritten).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent


def arguments(doc: str, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"turns of each contestant ({rounds})")
    parser.add_argument("--record", action="store_true", help="write a record into benchmarks/records/")
    return parser


def take_turns(contestants: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Any]]:
    """What each contestant returned in each round. They alternate, so that all see the same other load."""
    results: dict[str, list[Any]] = {name: [] for name in contestants}
    for number in range(1, rounds + 1):
        for name, run in contestants.items():
            results[name].append(run())
            print(f"round {number} of {rounds}: {name}", file=sys.stderr, flush=True)
    return results


class Record:
    """One benchmark's outcome as Markdown. Made before the first measurement: it notes the load at the start."""

    def __init__(self, name: str, title: str, *, packages: Sequence[str]) -> None:
        self._name = name
        self._start = datetime.now(UTC)
        self._load = os.getloadavg()
        self._packages = packages
        self._parts = [f"# {title}", f"{self._start:%Y-%m-%d %H:%M} UTC. Command: `{command()}`"]

    def note(self, text: str) -> None:
        """A paragraph: what was done, what is counted."""
        self._parts.append(text)

    def table(
        self, what: str, rows: Mapping[str, Sequence[float]], *, ours: str | None = None, digits: int = 1
    ) -> dict[str, float]:
        """Median, least and most of each row; with `ours`, the ratios to it as well.

        A ratio is ours / theirs, of the medians, and in brackets the least and the most of the rounds, each with its
        own round of ours. Returns the ratios of the medians, by row.
        """
        lines = [f"| {what} | n | median | least | most |{' ours / this |' if ours else ''}"]
        lines.append("|---|---|---|---|---|" + ("---|" if ours else ""))
        ratios = {}
        for name, values in rows.items():
            cells = [name, str(len(values))]
            cells += [f"{number:,.{digits}f}" for number in (statistics.median(values), min(values), max(values))]
            if ours:
                ratios[name] = statistics.median(rows[ours]) / statistics.median(values)
                pairs = [own / other for own, other in zip(rows[ours], values, strict=True)]
                cells.append("" if name == ours else f"{ratios[name]:.2f} [{min(pairs):.2f}, {max(pairs):.2f}]")
            lines.append(f"| {' | '.join(cells)} |")
        self._parts.append("\n".join(lines))
        return ratios

    def target(self, what: str, *, reached: str, met: bool) -> None:
        """A figure to reach, what was reached, and whether that is enough."""
        self._parts.append(f"Target: {what}. Reached: {reached}. **{'Met' if met else 'MISSED'}.**")

    def so_far(self) -> str:
        """What there is already, should the rest never come."""
        return "\n\n".join(self._parts)

    def publish(self, *, write: bool) -> None:
        """Print it; write it as well if asked."""
        text = "\n\n".join([*self._parts, f"{versions(self._packages)}; {machine(self._load)}."]) + "\n"
        print(text)
        if write:
            path = free_path(f"{self._start:%Y-%m-%d}-{self._name}")
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}", file=sys.stderr)


def free_path(name: str) -> Path:
    """Where a record goes: no earlier one of the same day is overwritten."""
    folder = FOLDER / "records"
    folder.mkdir(exist_ok=True)
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next(path for path in (folder / f"{name}.md" for name in names) if not path.exists())


def command() -> str:
    """The command line, as it is typed in the repository's root."""
    program = Path(sys.argv[0]).resolve()
    inside = program.relative_to(ROOT) if program.is_relative_to(ROOT) else program
    return shlex.join(["python", str(inside), *sys.argv[1:]])


def versions(packages: Sequence[str]) -> str:
    """Python's version, and those of the packages that a figure hangs on."""
    return ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {importlib.metadata.version(name)}" for name in packages)]
    )


def machine(load: tuple[float, float, float]) -> str:
    """Cores, CPU, memory, system, and the load that was there before."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    averages = ", ".join(f"{value:.1f}" for value in load)
    return (
        f"{os.cpu_count()} cores ({cpu_model()}), {gib:.0f} GiB, {platform.system()} {platform.machine()}; "
        f"load average at the start {averages} (1, 5, 15 minutes)"
    )


def cpu_model() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    found = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return found or platform.processor() or "unknown CPU"
