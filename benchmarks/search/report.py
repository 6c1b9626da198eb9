"""Tables of what `run.py` wrote: incumbents, average ranks, paired tests, own seconds.

    python benchmarks/search/report.py FILE [--ours auto] [--methods a,b,..] [--record]

A cell is one (task, seed), which every method meets alike. `--record` writes benchmarks/records/DATE-search-methods.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon

sys.path.append(str(Path(__file__).resolve().parents[1]))

from record import Record

READ_AT = {"taskset": ("8", "16", "40"), "lcbench": ("8", "16", "40", "80")}
"""At 80 full trainings TaskSet's table is used up."""

DIGITS = {"taskset": 3, "lcbench": 2}
AGAINST = ("asha+random", "ray-optuna+asha", "optuna-gp")
LEVEL = 0.05
MANY = 24
"""Cells of a slow method: 3 seeds of 8 tasks."""

Cell = tuple[str, int]
Studies = dict[str, dict[Cell, dict[str, Any]]]
"""method -> (task, seed) -> the line that `run.py` wrote."""


def read(file: Path, benchmark: str) -> Studies:
    """The benchmark's studies, by method and cell."""
    found: Studies = {}
    for text in file.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line["benchmark"] == benchmark:
            found.setdefault(line["method"], {})[line["task"], line["seed"]] = line
    return found


def values(studies: Mapping[Cell, Mapping[str, Any]], at: str, cells: Sequence[Cell]) -> NDArray[np.float64]:
    """The readings at `at`, in the order of `cells`."""
    return np.array([studies[cell]["readings"][at] for cell in cells])


def common(studies: Studies, names: Sequence[str]) -> list[Cell]:
    """The cells that all the named methods have."""
    return sorted(set.intersection(*(set(studies[name]) for name in names)))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def incumbents(studies: Studies, benchmark: str) -> str:
    """Mean and median of every method over its own cells, best first by the mean at the last reading."""
    at, digits = READ_AT[benchmark], DIGITS[benchmark]
    rows = []
    for name, own in studies.items():
        table = np.array([values(own, reading, sorted(own)) for reading in at])
        mean, median = (" / ".join(f"{x:.{digits}f}" for x in of(table, axis=1)) for of in (np.mean, np.median))
        seconds = np.mean([line["own_seconds"] for line in own.values()])
        each = np.mean([line["own_seconds"] / line["n_trials"] for line in own.values()]) * 1000
        n_tasks, n_seeds = (len(set(names)) for names in zip(*own, strict=True))
        n = f"{len(own)}: {n_tasks} tasks, {n_seeds} seeds"
        rows.append((table.mean(axis=1)[-1], [name, n, mean, median, f"{seconds:.1f}", f"{each:.1f}"]))
    head = ["method", "studies", f"mean at {' / '.join(at)}", "median", "own s a study", "ms a trial"]
    return markdown(head, [row for _, row in sorted(rows, key=lambda entry: entry[0])])


def average_ranks(studies: Studies, benchmark: str, names: Sequence[str]) -> tuple[int, str]:
    """The number of cells that all the methods have, and each method's average rank (1 is best) over them."""
    cells = common(studies, names)
    if not cells:
        return 0, "No cell is common to all methods."
    columns = []
    for reading in READ_AT[benchmark]:
        table = np.array([values(studies[name], reading, cells) for name in names])
        columns.append(rankdata(table, axis=0).mean(axis=1))
    order = np.argsort(np.mean(columns, axis=0))
    rows = [[names[index], *(f"{column[index]:.2f}" for column in columns)] for index in order]
    return len(cells), markdown(["method", *(f"rank at {at}" for at in READ_AT[benchmark])], rows)


def paired_tests(studies: Studies, benchmark: str, ours: str, against: Sequence[str]) -> str:
    """Wilcoxon's signed-rank test of `ours` against each, at each reading, over their common cells; Holm-corrected."""
    rows, p_values = [], []
    for name in against:
        cells = common(studies, [ours, name])
        for reading in READ_AT[benchmark]:
            own, other = values(studies[ours], reading, cells), values(studies[name], reading, cells)
            p_values.append(signed_rank(own - other))
            better, worse = np.mean(own < other), np.mean(own > other)
            means = [f"{x:.{DIGITS[benchmark]}f}" for x in (own.mean(), other.mean())]
            rows.append([name, reading, str(len(cells)), *means, f"{better:.0%} / {worse:.0%}"])
    for row, p in zip(rows, holm(p_values), strict=True):
        sign = "" if p >= LEVEL else ", ahead" if leads(row) else ", behind"
        row.append(f"{p:.2g}{sign}")
    head = ["against", "at", "cells", f"mean, {ours}", "mean, theirs", "better / worse in", "p (Holm)"]
    return markdown(head, rows)


def leads(row: Sequence[str]) -> bool:
    """Whether the row's share of better cells is above that of the worse ones."""
    better, worse = row[5].replace("%", "").split(" / ")
    return float(better) > float(worse)


def signed_rank(differences: NDArray[np.float64]) -> float:
    """Two-sided p; equal pairs are split between the signs (Pratt 1959). 1 if all are equal, or there are none."""
    if not np.any(differences):
        return 1.0
    return float(wilcoxon(differences, zero_method="pratt", method="asymptotic").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down correction, in the order given."""
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(np.argsort(p_values)):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - place)))
        corrected[index] = highest
    return corrected


def add(record: Record, benchmark: str, studies: Studies, ours: str) -> None:
    """One benchmark's tables."""
    record.note(f"## {benchmark}\n\n{incumbents(studies, benchmark)}")
    names = sorted(studies)
    n_cells, table = average_ranks(studies, benchmark, names)
    record.note(f"Average rank over the {n_cells} (task, seed) pairs that all {len(names)} methods have:\n\n{table}")
    many = [name for name in names if len(studies[name]) >= MANY]
    if 1 < len(many) < len(names):
        n_cells, table = average_ranks(studies, benchmark, many)
        record.note(f"The same of the methods with at least {MANY} of them, over {n_cells}:\n\n{table}")
    against = [name for name in AGAINST if name in studies and name != ours]
    if ours in studies and against:
        record.note(f"Paired tests of {ours}:\n\n{paired_tests(studies, benchmark, ours, against)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--ours", default="auto", help="the method that is tested against the peers (auto)")
    parser.add_argument("--methods", help="only these (all in the file)")
    parser.add_argument("--record", action="store_true", help="write a record into benchmarks/records/")
    options = parser.parse_args()
    record = Record("search-methods", "Search methods and their peers", packages=("numpy", "scipy"))
    record.note(
        "8 asynchronous workers on a virtual clock, every unit of resource the same time, promotion and resuming free; "
        "a full training is 50 units and the budget 80 of them. A figure is the best loss of any report by then: for "
        "TaskSet normalised regret (0 the table's best, 1 chance), for LCBench points of validation accuracy below the "
        "best of 2,000 random configurations. Own seconds are CPU seconds of the method's own code, one thread."
    )
    versions = {}
    for benchmark in READ_AT:
        studies = read(options.file, benchmark)
        if options.methods:
            studies = {name: own for name, own in studies.items() if name in options.methods.split(",")}
        if studies:
            versions |= {name: next(iter(own.values()))["version"] for name, own in studies.items()}
            add(record, benchmark, studies, options.ours)
    record.note("Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + ".")
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
