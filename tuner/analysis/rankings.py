"""How the methods of a comparison rank over its repeats, and which of them can be told apart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tuner.analysis.compared import Comparison
from tuner.analysis.comparison import average_ranks, fewest_repeats, indistinguishable, repeats_needed
from tuner.analysis.comparison.ranks import paired_differences

ALPHA = 0.05


def ranks(comparison: Comparison) -> pd.DataFrame:
    """Columns: method, rank (mean over the repeats that all methods have; 1 is best), the best first."""
    paired = comparison.findings.paired
    found = pd.Series(dtype=float) if paired.empty else average_ranks(paired)
    return pd.DataFrame({"method": found.index.astype(str), "rank": found.to_numpy(dtype=np.float64)})


def groups(comparison: Comparison) -> pd.DataFrame:
    """Which methods cannot be told apart by their average ranks (Nemenyi, as in Demšar 2006).

    One row per largest group of methods within the critical difference. Columns: methods, low, high (their ranks'
    ends). Empty with one method or repeat.
    """
    difference = comparison.findings.critical_difference()
    table = ranks(comparison)
    by_method = pd.Series(table["rank"].to_numpy(), index=table["method"])
    found = [] if difference is None else indistinguishable(by_method, difference)
    rows = [(", ".join(names), float(by_method[names[0]]), float(by_method[names[-1]])) for names in found]
    return pd.DataFrame(rows, columns=["methods", "low", "high"])


def pairs(comparison: Comparison) -> pd.DataFrame:
    """Every pair of methods over the repeats that all have, the surest first.

    Columns: one, other; better, equal, worse (repeats in which `one` was so); difference (by how much its loss is lower
    in the median pair); p (Wilcoxon's signed-rank test), p_holm (corrected for so many pairs); needed (about how many
    repeats would tell them apart, if what was seen is the truth; <NA> where nothing points either way).
    """
    findings = comparison.findings
    table = findings.pairs().rename(columns={"wins": "better", "ties": "equal", "losses": "worse"})
    needed = [
        repeats_needed(paired_differences(findings.paired, one, other), ALPHA, n_tests=len(table))
        for one, other in zip(table["one"], table["other"], strict=True)
    ]
    table = table.assign(needed=pd.array(needed, dtype="Int64"))
    columns = ["one", "other", "better", "equal", "worse", "difference", "p", "p_holm", "needed"]
    return table[columns].sort_values(["p_holm", "one", "other"], ignore_index=True)


def least_repeats(comparison: Comparison) -> int:
    """The fewest repeats with which the tests between so many methods can find anything at all."""
    n_methods = len(comparison.plan.methods)
    return fewest_repeats(ALPHA, max(n_methods * (n_methods - 1) // 2, 1))
